//go:build nextlevel

package sqlite

// Level as of a release that does not exist yet: cmd/ostatok's test builds one to
// play the step.
const Level = 1
