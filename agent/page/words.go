package page

import (
	"time"

	"ostatok/agent/journal"
	"ostatok/agent/stock"
)

// words are all that the page says, in one language. They are fields and not
// keys of a table, so that a text that is missing does not compile or fails the
// test that looks for empty ones.
type words struct {
	language, languageSelf string
	point, thousands       string
	separator              rune // of fields in a list for a spreadsheet
	megabytes, gigabytes   string
	today, yesterday       string
	longDate               string
	months                 [12]string

	// One, few, many.
	products, documents, changes, times, tasksCount, seconds, minutes [3]string

	brand, skip, menuLabel, pagesLabel, details string
	failedTitle, failedText                     string
	notFoundTitle, noPage, toOverview, tooLarge string

	loginTitle, loginText, codeLabel, logIn, logOut string
	codeWrong, codeMissing, codeNeeded              string
	lockedOut                                       func(wait string) string

	overviewTitle, stockTitle, countTitle, planTitle, targetsTitle, eventsTitle string

	// How it is.
	allWell, firstSync, clockWrong, clockWrongDo, targetStuck string
	firstSyncText                                             func(percent, documents string) string
	tasksWait, lastLook                                       func(string) string
	tasksTitle                                                string
	approveTask, blockedTask, rejectedTask                    func(target string) string
	approveDo, lookDo, countTask, countDo                     string
	silentTask, silentText                                    func(string) string
	loadTask, loadText, loadedMark, notLoadedMark             string
	figuresTitle, knownFigure, unsureFigure, unknownFigure    string
	documentsFact, terminalsFact, lookFact, quarantineFact    string
	diskFact                                                  string

	// Stock.
	searchLabel, searchHint, searchDo, filterLabel        string
	nothingFound, firstPage, nextPage, download           string
	filters                                               map[filter]string
	nameColumn, codeColumn, groupColumn, shelfColumn      string
	stateColumn, reservedColumn, availableColumn          string
	cloudColumn, asOfColumn, unitColumn                   string
	states                                                map[stock.State]string
	reasons                                               map[stock.Reason]string
	types                                                 map[stock.Type]string
	rules                                                 map[stock.Rule]string
	noProduct, heldTitle, targetColumn, heldColumn        string
	wantedColumn, learnedColumn, outsideFact              string
	chartTitle, countKey, outsideKey                      string
	chartLabel                                            func(least, most string) string
	chainTitle, chainEmpty, historyWhole, olderPage       string
	historySince, statedStory, outsideStory               func(string) string
	whenColumn, documentColumn, terminalColumn            string
	effectColumn, levelColumn, storyColumn, unlistedStory string

	// To count.
	nothingToCount, countText, printDo, noGroup string
	shownColumn, whyColumn, countedColumn       string
	whyNegative                                 string
	countLeft                                   func(products string) string

	// Plan.
	noPlan, guardsTitle, approve, reject, planGone string
	planMade                                       func(at, changes string) string
	assumedToo, unmatchedTitle                     func(products string) string
	fromColumn, toColumn, sureColumn, earlierPage  string
	rowsOf                                         func(from, to, of string) string
	planStates                                     map[journal.PlanState]string
	planSaid                                       map[string]string
	rowStates                                      map[journal.RowState]string
	guards                                         map[string]string

	// Targets and events.
	evotor, noTargets, rejectedTitle, rejectedText     string
	policyFact, waitingFact, rejectedFact, successFact string
	policies, targetStates, severities, events         map[string]string
	problems                                           map[string]problemWords
	problemOver                                        func(title string) string
	noEvents, partFailed, shownOnly                    string

	setup setupWords
}

// problemWords are what is the matter and what to do about it.
type problemWords struct{ title, do string }

// setupWords are what the first form says.
type setupWords struct {
	title, lead                                      string
	tokenTitle, tokenText, tokenLabel, tokenDo       string
	tokenKept, tokenAgain                            string
	storeTitle, storeText, storeDo, noStores         string
	backendsTitle, backendsText, backendDo           string
	name, kind, url, username, key, warehouse, match string
	kinds, matches                                   map[string]string
	remove, saveTitle, saveText, saveDo              string
	saved, savedText, failed, incomplete             string
	order                                            string // the token comes first
	full                                             string // of backends
	codeFirst                                        string
	trials                                           map[Trial]string
}

// dateOnly is a day without its time.
func (c clock) dateOnly(t time.Time) string {
	return t.In(c.now.Location()).Format(c.longDate)
}
