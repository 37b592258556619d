package pull

import (
	"errors"
	"slices"
	"strings"

	"ostatok/sync/rest"
)

// Problem is a state of the pull that a person should know of.
type Problem struct {
	Kind    string // one of the constants below
	Message string // what is the matter
	Advice  string // what to do about it
	Blocks  bool   // the pull does not count as complete while it stands
}

// The kinds of problems.
const (
	TokenRefused    = "token_refused"     // 401
	NotInstalled    = "not_installed"     // 402
	Forbidden       = "forbidden"         // 403
	StoreNotVisible = "store_not_visible" // the token sees other shops, or none
	DeviceRefused   = "device_refused"    // one terminal's documents are refused
	Unreachable     = "cloud_unreachable"
	RateLimited     = "rate_limited"
	BadAnswer       = "bad_answer" // not what the cloud's documentation says
	RequestRefused  = "request_refused"
	CatalogueShrank = "catalogue_shrank"
	CursorRepeated  = "cursor_repeated"
	NoDocuments     = "no_documents"
	SetAside        = "items_set_aside"
	MirrorFailed    = "mirror_failed"
)

// What is wrong with an answer besides what the layer below sees.
var (
	errRepeated = errors.New("the cloud's pages repeat")
	errStrange  = errors.New("the cloud's answer cannot be used")
)

// ours tells whether an error came from this machine and not from the cloud.
func ours(err error) bool {
	return !errors.Is(err, errRepeated) && !errors.Is(err, errStrange) && rest.KindOf(err) == ""
}

// refused tells whether the cloud said no in a way that asking again does not
// change; somebody has to do something.
func refused(err error) bool {
	switch rest.KindOf(err) {
	case rest.Unauthorized, rest.NotInstalled, rest.Forbidden:
		return true
	}
	return false
}

// deviceOnly tells whether an error may concern one terminal only.
func deviceOnly(err error) bool {
	switch rest.KindOf(err) {
	case rest.NotInstalled, rest.Forbidden, rest.NotFound:
		return true
	}
	return false
}

// describe turns an error of the cloud into a problem.
func describe(err error) Problem {
	p := Problem{Kind: RequestRefused, Blocks: true,
		Message: "The cloud refused a request: " + text(err) + ".",
		Advice:  "It is asked again by itself. If this stays, send a diagnosis to support."}
	if errors.Is(err, errRepeated) {
		p.Kind = CursorRepeated
		p.Message = "The cloud's pages repeat and cannot be read to their end."
		p.Advice = "They are asked again by themselves. Nothing is removed or written meanwhile."
		return p
	}
	kind := rest.KindOf(err)
	if errors.Is(err, errStrange) {
		kind = rest.Protocol
	}
	switch kind {
	case rest.Unauthorized:
		p.Kind = TokenRefused
		p.Message = "The cloud refused the token."
		p.Advice = "Copy the token from the application's settings in the Evotor account into evotor.token_file. A token ends when the application is removed."
	case rest.NotInstalled:
		p.Kind = NotInstalled
		p.Message = "The application is not installed, or not paid, on this shop."
		p.Advice = "Install the application on the shop's terminals in the Evotor account and check its payment."
	case rest.Forbidden:
		p.Kind = Forbidden
		p.Message = "The cloud does not let the application see this shop."
		p.Advice = "Give the application the rights to products, stock and documents in the Evotor account."
	case rest.RateLimited:
		p.Kind = RateLimited
		p.Message = "The cloud asks to wait: too many requests."
		p.Advice = "Nothing to do: it goes on by itself. If this stays, another program uses the same token."
	case rest.Temporary:
		p.Kind = Unreachable
		p.Message = "The cloud cannot be reached: " + text(err) + "."
		p.Advice = "Check the shop's internet connection. It is tried again by itself."
	case rest.Protocol:
		p.Kind = BadAnswer
		p.Message = "The cloud's answer makes no sense: " + text(err) + "."
		p.Advice = "Check that no proxy or sign-in page stands between the box and the cloud. It is tried again by itself."
	}
	return p
}

// text is an error in one sentence without its final point.
func text(err error) string { return strings.TrimRight(err.Error(), ". \n") }

// findings gathers the problems of one cycle.
type findings []Problem

func (f *findings) add(p Problem) {
	if !slices.ContainsFunc(*f, func(have Problem) bool { return have.Kind == p.Kind && have.Message == p.Message }) {
		*f = append(*f, p)
	}
}

func (f findings) blocks() bool {
	return slices.ContainsFunc(f, func(p Problem) bool { return p.Blocks })
}

// show makes the problems visible and tells of those that came and went.
func (p *Puller) show(found findings) {
	var before []Problem
	p.update(func(s *Status) {
		before = s.Problems
		s.Problems = slices.Clone(found)
	})
	has := func(list []Problem, kind string) bool {
		return slices.ContainsFunc(list, func(x Problem) bool { return x.Kind == kind })
	}
	for _, x := range found {
		if !has(before, x.Kind) {
			p.log.Warn().Str("problem", x.Kind).Str("detail", x.Message).Msg("pull has a problem")
			p.event(x.Kind, "warning", x.Message, map[string]string{"advice": x.Advice})
		}
	}
	for _, x := range before {
		if !has(found, x.Kind) {
			p.log.Info().Str("problem", x.Kind).Msg("pull problem is over")
			p.event(x.Kind+"_over", "info", "Over: "+x.Message, nil)
		}
	}
}
