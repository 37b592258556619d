package page

// Words lets a test compare the languages.
func Words(language string) *words {
	if language == "en" {
		return english()
	}
	return russian()
}

// EventWords are what a visitor reads of an event.
func EventWords(language, kind string) string { return Words(language).eventWords(kind) }
