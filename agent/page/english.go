package page

import (
	"ostatok/agent/journal"
	"ostatok/agent/stock"
)

func english() *words {
	w := &words{
		language: "en", languageSelf: "English",
		point: ".", thousands: ",", separator: ',', megabytes: "MB", gigabytes: "GB",
		today: "today", yesterday: "yesterday", longDate: "2 Jan 2006",
		months: [12]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"},

		products:   [3]string{"product", "products", "products"},
		documents:  [3]string{"document", "documents", "documents"},
		changes:    [3]string{"change", "changes", "changes"},
		times:      [3]string{"time", "times", "times"},
		tasksCount: [3]string{"thing", "things", "things"},
		seconds:    [3]string{"second", "seconds", "seconds"},
		minutes:    [3]string{"minute", "minutes", "minutes"},

		brand: "Ostatok", skip: "Skip to content", menuLabel: "Sections", pagesLabel: "Pages", details: "Details",
		failedTitle: "That did not work", failedText: "The page could not be made. Reload it in a minute; if that does not help, call whoever installed the program.",
		notFoundTitle: "Not found", noPage: "There is no such page.", toOverview: "To the overview",
		tooLarge: "That is too long.",

		loginTitle: "Access code", loginText: "Whoever installed the program knows the code. It is needed to look at the stock from another device, and to approve what is written.",
		codeLabel: "Code", logIn: "Log in", logOut: "Log out",
		codeWrong:   "That is not the code. Check its letters and digits and enter it again.",
		codeMissing: "There is no code yet, so nobody can log in. Whoever installed the program makes it.",
		codeNeeded:  "You will be asked for the access code first.",
		lockedOut:   func(wait string) string { return "Too many tries. Wait " + wait + " and enter the code again." },

		overviewTitle: "Overview", stockTitle: "Stock", countTitle: "To count", planTitle: "Plan",
		targetsTitle: "Systems", eventsTitle: "Events",

		allWell: "All is well, the stock is right.", firstSync: "The first download is under way.",
		firstSyncText: func(percent, documents string) string {
			return percent + "% done, " + documents + " so far. The stock is exact when it has ended."
		},
		clockWrong: "The box's clock is wrong.", clockWrongDo: "Until it is right, nothing is written to other systems. Connect the box to the internet or set its clock.",
		targetStuck: "The stock is right, but not every system takes it.",
		tasksWait:   func(tasks string) string { return "The stock is right. " + tasks + " to do." },
		lastLook:    func(at string) string { return "Last looked: " + at + "." },
		tasksTitle:  "What to do",
		approveTask: func(target string) string { return "Approve what is written: " + target },
		approveDo:   "Look at the plan", lookDo: "Look",
		blockedTask:  func(target string) string { return "Writing has stopped: " + target },
		rejectedTask: func(target string) string { return "Not every figure was taken: " + target },
		countTask:    "Count products", countDo: "Open the list",
		silentTask: func(terminal string) string { return "A terminal is silent: " + terminal },
		silentText: func(at string) string {
			return "Its last document: " + at + ". If it is in use, check its internet connection."
		},
		loadTask:   "Load the goods on the terminals",
		loadText:   "New figures were written to the Evotor cloud. By itself a terminal loads them every four hours.",
		loadedMark: "loaded", notLoadedMark: "not yet",
		figuresTitle: "Products", knownFigure: "exact", unsureFigure: "unsure", unknownFigure: "not known",
		documentsFact: "Documents", terminalsFact: "Terminals", lookFact: "Checked", quarantineFact: "Set aside as unreadable",
		diskFact: "Free on the disk",

		searchLabel: "Find a product", searchHint: "Name, code, article or barcode", searchDo: "Find", filterLabel: "Which products to show",
		nothingFound: "Nothing found. Try a part of the name, or the code.", firstPage: "To the beginning", nextPage: "Next", download: "Download as a table",
		filters: map[filter]string{
			showAll: "All", showKnown: "Exact", showUnsure: "Unsure", showUnknown: "Not known",
			showNegative: "Below zero", showDrift: "Differs from the cloud",
		},
		nameColumn: "Product", codeColumn: "Code", groupColumn: "Group", shelfColumn: "Stock", stateColumn: "State",
		reservedColumn: "Reserved", availableColumn: "Available", cloudColumn: "In the cloud", asOfColumn: "Last document", unitColumn: "Unit",
		states: map[stock.State]string{
			stock.Known: "exact", stock.Assumed: "unsure", stock.Unresolved: "being worked out", stock.Unknown: "not known",
		},
		noProduct: "There is no such product. It may have been deleted from the catalogue.",
		heldTitle: "What other systems hold", targetColumn: "System", heldColumn: "Holds", wantedColumn: "To be written", learnedColumn: "As of",
		outsideFact: "Changed without a document",
		chartTitle:  "How the stock moved", countKey: "count", outsideKey: "changed without a document",
		chartLabel: func(least, most string) string { return "Stock over time, from " + least + " to " + most },
		chainTitle: "Where this figure comes from", chainEmpty: "No document names this product yet.",
		historyWhole: "The shop's whole history is here.", olderPage: "Older",
		historySince: func(day string) string { return "History is here since " + day + "." },
		statedStory:  func(q string) string { return "The terminal showed " + q + ":" },
		outsideStory: func(q string) string { return "Stock was changed without a document: " + q + "." },
		whenColumn:   "When", documentColumn: "Document", terminalColumn: "Terminal", effectColumn: "Effect", levelColumn: "Then",
		storyColumn: "What it tells", unlistedStory: "A full count does not list it, so nothing is left.",

		nothingToCount: "Nothing to count: the stock of every product is clear.",
		countText:      "Print the list, count on the shelf, and make a count document of these products on a terminal. The rest follows by itself.",
		printDo:        "Print", noGroup: "No group", shownColumn: "By documents", whyColumn: "Why", countedColumn: "On the shelf",
		whyNegative: "The stock is below zero.",
		countLeft:   func(products string) string { return "And " + products + " more: they come when these are counted." },

		noPlan: "Nothing to write: every system holds the right figures.", guardsTitle: "Why you should look",
		approve: "Approve", reject: "Reject",
		planGone: "A newer plan has taken this one's place. Go back to the plan, look at it and decide again.",
		planMade: func(at, changes string) string { return "Made " + at + ", " + changes + "." },
		assumedToo: func(products string) string {
			return "Write the figures that are unsure too (" + products + ")"
		},
		unmatchedTitle: func(products string) string { return "Without a match in this system: " + products },
		fromColumn:     "Now", toColumn: "Then", sureColumn: "Stock", earlierPage: "Back",
		rowsOf:     func(from, to, of string) string { return " " + from + "–" + to + " of " + of + " " },
		planStates: map[journal.PlanState]string{journal.PlanOpen: "waits for you", journal.PlanApproved: "being written"},
		planSaid:   map[string]string{"approved": "The plan is approved, writing has begun.", "rejected": "The plan is rejected, nothing was written."},
		rowStates: map[journal.RowState]string{
			journal.Ready: "waits for you", journal.Assumed: "only if ticked", journal.Skipped: "skipped",
			journal.Planned: "queued", journal.Sent: "being sent", journal.Accepted: "accepted", journal.Verified: "verified",
			journal.Rejected: "refused", journal.Blocked: "stopped",
		},
		guards: map[string]string{
			"fall": "Too many products would fall to zero.", "unresolved": "The stock of some products is not known yet; the plan leaves them alone.",
			"empty_catalogue": "The catalogue is empty: there is nothing to compare.", "nothing_matched": "No product has a match in this system.",
			"incomplete": "Not all documents are here yet, the stock may still change.", "clock_not_trusted": "The box's clock is wrong.",
			"reserves_unknown": "Reserves are not here yet, so what is available is not known.",
		},

		evotor: "Evotor cloud", noTargets: "Nothing is written anywhere yet.", rejectedTitle: "Not taken",
		rejectedText: "The system did not take these figures. They are not sent again until the stock changes or the cause is gone.",
		policyFact:   "Writing", waitingFact: "Queued", rejectedFact: "Refused", successFact: "Last success",
		shownOnly:    "never, only compared",
		policies:     map[string]string{"off": "off", "approve": "when approved", "auto": "by itself"},
		targetStates: map[string]string{"works": "works", "off": "not written", "compared": "compared", "blocked": "stopped", "rejected": "not all taken", "waiting": "being written"},
		severities:   map[string]string{journal.Info: "info", journal.Warning: "warning", journal.Error: "error"},
		problemOver:  func(title string) string { return "Over: " + title },
		partFailed:   "A part of the program stopped and is started again.",
		noEvents:     "No events yet.",
	}
	w.reasons = map[stock.Reason]string{
		stock.ReasonReading:  "It is not clear yet whether terminals state the stock before or after such documents.",
		stock.ReasonDisagree: "Terminals disagreed before the known history began.",
		stock.ReasonAlone:    "It rests on what one terminal showed, which may have been out of date.",
		stock.ReasonWindow:   "Stock was changed without a document; by how much is not settled yet.",
		stock.ReasonCount:    "Set to zero by a count that did not say whether it was complete.",
		stock.ReasonLate:     "A document older than the kept history came in.",
		stock.ReasonOlder:    "No document yet, older months are being fetched.",
		stock.ReasonNothing:  "No document names it in the whole history.",
	}
	w.types = map[stock.Type]string{
		stock.Sell: "Sale", stock.Payback: "Customer's return", stock.Accept: "Delivery", stock.Return: "Return to supplier",
		stock.WriteOff: "Write-off", stock.Buy: "Purchase", stock.Buyback: "Purchase returned", stock.Inventory: "Count",
		stock.OpenTare: "Container opened", stock.Write: "Written to the cloud",
	}
	w.rules = map[stock.Rule]string{
		stock.RuleFirst:    "the first figure known, taken as the start.",
		stock.RuleOwnView:  "it has loaded nothing since.",
		stock.RuleAgree:    "agrees with the level.",
		stock.RuleLate:     "an earlier level, loaded late.",
		stock.RuleOutside:  "stock was changed without a document.",
		stock.RuleCount:    "Counted.",
		stock.RuleWrite:    "Written by this program.",
		stock.RuleUnstated: "The document states no stock.",
	}
	w.events = englishEvents()
	w.problems = englishProblems()
	w.setup = englishSetup()
	return w
}

func englishEvents() map[string]string {
	return map[string]string{
		"started": "The program started.", "mirror_mended": "The copy of the cloud was damaged and is being built again.",
		"plan_waits": "A new plan waits for approval.", "plan_approved": "A plan was approved.", "plan_rejected": "A plan was rejected.",
		"guard_fired": "A guard stopped the writing.", "target_refuses": "A system refuses figures.",
		"target_works": "A system takes figures again.", "rows_refused": "Some figures were not taken.",
		"load_to_terminals":  "Figures were written to the cloud: load the goods on the terminals.",
		"figure_overwritten": "A system held another figure than expected; the right one was written.",
		"full_run_done":      "The full run to a system is done.", "full_run_stopped": "The full run to a system was stopped.",
		"unknown_document_type":      "A document of an unknown type; it moves no stock.",
		"unknown_settlement":         "An unknown way of settling; the product is taken for sold.",
		"count_without_completeness": "A count did not say whether it was complete; it is taken for complete.",
		"count_repeats_product":      "A count lists a product more than once; the quantities were added up.",
		"free_price_line":            "A sale at a free price: no stock is concerned.",
		"document_changed":           "A document came again with other content; the first one was kept.",
		"history_complete":           "The whole history of the shop is known.",
		"history_ends":               "Two years without a document: nothing older is asked for.",
		"received_let_go":            "Documents sent in the shop have not come to the cloud for long; their copies made room for new ones.",
		"received_twin":              "A document came twice under two ids; it counts once.",
		"journal_salvaged":           "The file of plans and deliveries was damaged; what could be read was saved.",
		"mapping_changed":            "The mapping of products was changed.",
		"command_refused":            "A command from afar was refused.",
		"override_expired":           "Settings from afar have expired; the former ones are in force again.",
		"override_fell_back":         "Settings from afar did not fit and were taken back.",
		"update_committed":           "The new version of the program works and stays.",
		"update_failed":              "The new version of the program could not be switched to.",
		"update_rolled_back":         "The new version of the program did not work; the one before runs again.",
		"page_unreachable_over":      "The page can be opened again.",
	}
}

func englishProblems() map[string]problemWords {
	return map[string]problemWords{
		"token_refused":     {"The Evotor cloud refuses the token.", "Take a new token from the application's settings in the Evotor account."},
		"not_installed":     {"The application is not installed, or not paid.", "Check in the Evotor account that it is installed on this shop's terminals and paid."},
		"forbidden":         {"The Evotor cloud does not show this shop.", "Give the application the rights to products, stock and documents in the Evotor account."},
		"store_not_visible": {"The token does not see this shop.", "Check that the token is of this account and that the configuration names the right shop."},
		"device_refused":    {"The documents of one terminal are refused.", "Check that the application is installed on that terminal too."},
		"cloud_unreachable": {"The Evotor cloud cannot be reached.", "Check the shop's internet connection. It goes on by itself when it is back."},
		"rate_limited":      {"The Evotor cloud asks to wait.", "Nothing to do, it goes on by itself."},
		"bad_answer":        {"The Evotor cloud's answer makes no sense.", "Check that no sign-in page stands between the box and the internet. It is asked again by itself."},
		"request_refused":   {"The Evotor cloud refused a request.", "It is asked again by itself. If this stays, call whoever installed the program."},
		"catalogue_shrank":  {"The catalogue in the cloud is suddenly much shorter.", "It is not believed yet and nothing is deleted. Check the catalogue in the Evotor account."},
		"cursor_repeated":   {"The Evotor cloud repeats its pages.", "Nothing to do, it is asked again by itself."},
		"no_documents":      {"The cloud shows no documents.", "Check that the application has the right to documents."},
		"items_set_aside":   {"Some documents could not be read and were set aside.", "The stock of products in them may be wrong. Call whoever installed the program."},
		"mirror_failed":     {"A file on this box cannot be written.", "Check that the disk has room and that the card is sound."},
		"page_unreachable":  {"The page cannot be opened from this box's network.", "Another program has its address. Call whoever installed the program."},
		"reserves_unknown":  {"What is promised to buyers is not known yet.", "What is available is written once the system answers. See Systems."},
		"reserves_old":      {"What is promised to buyers has not been heard for long.", "Until it is, what is available is lowered and not raised. See Systems."},
		"targets":           {"Not every system has its figures.", "Look at Systems."},
	}
}

func englishSetup() setupWords {
	return setupWords{
		title: "Setup", lead: "Three steps, and the program begins to reckon the stock. Nothing is written to the cloud until you approve it.",
		tokenTitle: "1. Evotor token", tokenText: "The token is in the application's settings in the Evotor account.",
		tokenLabel: "Token", tokenDo: "Try it", tokenKept: "The token works.", tokenAgain: "Enter another",
		storeTitle: "2. Shop", storeText: "Choose the shop in which this box stands.", storeDo: "Choose",
		noStores:      "The token works but sees no shop. Install the application on the shop's terminals in the Evotor account.",
		backendsTitle: "3. Other systems", backendsText: "Not required. The stock is passed on to them; they can be added later too.",
		backendDo: "Try and add", name: "Name", kind: "System", url: "Address", username: "User name",
		key: "Key", warehouse: "Warehouse number", match: "Match products by",
		kinds:   map[string]string{"virtpos": "VirtPOS", "zelenka": "Zelenka", "keycrm": "KeyCRM"},
		matches: map[string]string{"article": "article", "code": "code", "barcode": "barcode", "id": "Evotor id"},
		remove:  "Remove", saveTitle: "Ready?", saveText: "The settings are written to this box and the first download begins.",
		saveDo: "Save and begin", saved: "The settings are saved.", savedText: "The first download begins. The overview opens in a few seconds.",
		failed: "The trial failed. Check what you entered and try again.", incomplete: "Fill in every field of this step.",
		order: "The token and the shop come first.", full: "No more systems can be added at once.",
		trials: map[Trial]string{
			Refused: "This token or key is not taken. Copy it again, whole.", NoRight: "It is taken, but may not see this. Give it more rights where it was made.",
			NotThere: "There is no such shop or warehouse. Check the address and the number.", Unreachable: "Nobody answers at this address. Check it, and the internet connection.",
			Malformed: "Something in the fields cannot be right.", NotSaved: "The settings could not be written. Check that the disk has room and that the program may write there.",
			Strange: "The answer makes no sense. Check the address, and that no sign-in page stands between the box and the internet.",
		},
		codeFirst: "Setup needs the access code: the program shows it when it is installed.",
	}
}
