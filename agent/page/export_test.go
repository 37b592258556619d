package page

// Words lets a test compare the languages.
func Words(language string) *words {
	if language == "en" {
		return english()
	}
	return russian()
}
