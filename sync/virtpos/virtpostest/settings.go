// Package virtpostest plays VirtPOS: its stock interface as the vendor describes
// it, with the choices that the description leaves open, and the faults of a
// network and of other people at work.
package virtpostest

// Settings say how the server behaves where the description is silent. The zero
// value is the plainest reading.
type Settings struct {
	Key string // the apikey that is accepted, "" is any that is not empty

	// Versions. A row is old when its version is below the one that is sent, or,
	// with UpTo, when it is that one.
	UpTo bool
	// CountWrites makes every write raise the counter and stamp its row with it.
	// Otherwise asking for the version raises it, and writes stamp what it is.
	CountWrites bool
	// SalesStamp and ReceiptsStamp say whether a sale on a till and a receipt of
	// goods move the version of their row.
	SalesStamp    bool
	ReceiptsStamp bool
	// RefuseNoVersion refuses a zeroing without a version. Otherwise it zeroes
	// everything, which is the worst that it may do.
	RefuseNoVersion bool

	Lots           bool // a row for every lot, not one with the last lot
	RefuseNegative bool // figures below zero are refused
	HideZero       bool // rows of zero are left out of a reading

	// ErrorStatus is the HTTP status of an answer with success=0; 0 is 200.
	ErrorStatus int

	JSON JSON
}

// JSON is the form of a JSON answer, of which nothing is described.
type JSON struct {
	Tree    bool   // transcribed from XML: warehouses.warehouse, one child as an object; else flat arrays
	Root    bool   // … under a member root
	Numbers bool   // numbers as numbers, not as strings
	Keyed   bool   // a list as an object numbered from 0; flat only
	Single  bool   // a list of one as that one; flat only
	Empty   string // an empty list: "[]", "{}", `""` or "null"; "" is "[]"
	Success string // true as: "1", `"1"` or "true"; "" is `"1"`
}

// Fault is something that goes wrong with one call.
type Fault string

// The faults.
const (
	None        Fault = ""
	Broken      Fault = "broken"       // 500, and nothing was done
	BrokenAfter Fault = "broken_after" // 500, but it was done
	Lost        Fault = "lost"         // it was done, and the connection ends without an answer
	Hang        Fault = "hang"         // it was done, and no answer ever comes
	Refused     Fault = "refused"      // success=0
	Busy        Fault = "busy"         // success=0 for a reason that passes
	Silent      Fault = "silent"       // an answer without success
	HTML        Fault = "html"         // 200 with the page of a captive portal
	Disguised   Fault = "disguised"    // the same page, called JSON
	Cut         Fault = "cut"          // it was done, and the connection ends in the middle of the answer
	CutClean    Fault = "cut_clean"    // it was done, and half of the answer comes as if it were whole
	Short       Fault = "short"        // a list without its last element, though it is counted
	Empty       Fault = "empty"        // 200 and no byte
	Moved       Fault = "moved"        // 301 to another address
	Limited     Fault = "limited"      // 429
)

// does tells whether the call is carried out.
func (f Fault) does() bool {
	switch f {
	case None, BrokenAfter, Lost, Hang, Cut, CutClean, Short, Silent:
		return true
	}
	return false
}
