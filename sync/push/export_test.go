package push

// SetAt plays power cuts: fn is called between the steps of a delivery.
func (e *Engine) SetAt(fn func(step string)) { e.at = fn }
