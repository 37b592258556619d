package page

import (
	"ostatok/agent/journal"
	"ostatok/agent/stock"
)

func russian() *words {
	w := &words{
		language: "ru", languageSelf: "По-русски",
		point: ",", thousands: hardSpace, separator: ';', megabytes: "МБ", gigabytes: "ГБ",
		today: "сегодня", yesterday: "вчера", longDate: "02.01.2006",
		months: [12]string{"января", "февраля", "марта", "апреля", "мая", "июня", "июля", "августа", "сентября", "октября", "ноября", "декабря"},

		products:   [3]string{"товар", "товара", "товаров"},
		documents:  [3]string{"документ", "документа", "документов"},
		changes:    [3]string{"изменение", "изменения", "изменений"},
		times:      [3]string{"раз", "раза", "раз"},
		tasksCount: [3]string{"дело", "дела", "дел"},
		seconds:    [3]string{"секунду", "секунды", "секунд"},
		minutes:    [3]string{"минуту", "минуты", "минут"},

		brand: "Остаток", skip: "К содержанию", menuLabel: "Разделы", pagesLabel: "Страницы", details: "Подробности",
		failedTitle: "Не получилось", failedText: "Страницу не удалось собрать. Обновите её через минуту; если не помогло, позовите того, кто ставил программу.",
		notFoundTitle: "Не найдено", noPage: "Такой страницы нет.", toOverview: "На главную",
		tooLarge: "Слишком длинный ввод.",

		loginTitle: "Код доступа", loginText: "Код знает тот, кто ставил программу. Он нужен, чтобы смотреть остатки с другого устройства и чтобы утверждать запись.",
		codeLabel: "Код", logIn: "Войти", logOut: "Выйти",
		codeWrong:   "Код не подошёл. Проверьте буквы и цифры и введите ещё раз.",
		codeMissing: "Код ещё не задан, поэтому войти нельзя. Его создаёт тот, кто ставил программу.",
		codeNeeded:  "Сначала программа спросит код доступа.",
		lockedOut: func(wait string) string {
			return "Слишком много попыток. Подождите " + wait + " и введите код ещё раз."
		},

		overviewTitle: "Главное", stockTitle: "Остатки", countTitle: "Пересчитать", planTitle: "План",
		targetsTitle: "Системы", eventsTitle: "События",

		allWell: "Всё в порядке, остатки сходятся.", firstSync: "Идёт первая загрузка.",
		firstSyncText: func(percent, documents string) string {
			return "Готово на " + percent + hardSpace + "%, загружено: " + documents + ". Остатки станут точными, когда загрузка закончится."
		},
		clockWrong: "Часы устройства идут неверно.", clockWrongDo: "Пока время не исправлено, в другие системы ничего не пишется. Подключите устройство к интернету или поставьте время вручную.",
		targetStuck: "Остатки посчитаны, но не все системы их принимают.",
		tasksWait:   func(tasks string) string { return "Остатки посчитаны. Вас ждёт " + tasks + "." },
		lastLook:    func(at string) string { return "Последняя проверка: " + at + "." },
		tasksTitle:  "Что сделать",
		approveTask: func(target string) string { return "Утвердить запись: " + target },
		approveDo:   "Посмотреть план", lookDo: "Посмотреть",
		blockedTask:  func(target string) string { return "Запись остановлена: " + target },
		rejectedTask: func(target string) string { return "Не все остатки приняты: " + target },
		countTask:    "Пересчитать товары", countDo: "Открыть список",
		silentTask: func(terminal string) string { return "Терминал молчит: " + terminal },
		silentText: func(at string) string {
			return "Последний документ: " + at + ". Если на нём торгуют, проверьте его интернет."
		},
		loadTask:   "Загрузите товары на терминалах",
		loadText:   "В Облако Эвотор записаны новые остатки. Сам терминал загружает их раз в четыре часа; на терминале: «Товары» → «Загрузить».",
		loadedMark: "загрузил", notLoadedMark: "ещё нет",
		figuresTitle: "Товары", knownFigure: "остаток точный", unsureFigure: "под вопросом", unknownFigure: "неизвестно",
		documentsFact: "Документов", terminalsFact: "Терминалов", lookFact: "Проверено", quarantineFact: "Отложено как непонятное",
		diskFact: "Свободно на диске",

		searchLabel: "Найти товар", searchHint: "Название, код, артикул или штрихкод", searchDo: "Найти", filterLabel: "Какие товары показать",
		nothingFound: "Ничего не нашлось. Попробуйте часть названия или код.", firstPage: "В начало", nextPage: "Дальше", download: "Скачать таблицу",
		filters: map[filter]string{
			showAll: "Все", showKnown: "Точные", showUnsure: "Под вопросом", showUnknown: "Неизвестно",
			showNegative: "Меньше нуля", showDrift: "Расходится с Облаком",
		},
		nameColumn: "Товар", codeColumn: "Код", groupColumn: "Группа", shelfColumn: "Остаток", stateColumn: "Состояние",
		reservedColumn: "В резерве", availableColumn: "Доступно", cloudColumn: "В Облаке", asOfColumn: "Последний документ", unitColumn: "Ед.",
		states: map[stock.State]string{
			stock.Known: "точно", stock.Assumed: "под вопросом", stock.Unresolved: "уточняется", stock.Unknown: "неизвестно",
		},
		noProduct: "Такого товара нет. Возможно, его удалили из каталога.",
		heldTitle: "Что видят другие системы", targetColumn: "Система", heldColumn: "Там", wantedColumn: "Запишем", learnedColumn: "Узнали",
		outsideFact: "Меняли без документа",
		chartTitle:  "Как менялся остаток", countKey: "инвентаризация", outsideKey: "изменили без документа",
		chartLabel: func(least, most string) string {
			return "Остаток по дням, от " + least + " до " + most
		},
		chainTitle: "Откуда эта цифра", chainEmpty: "Документов с этим товаром пока нет.",
		historyWhole: "Загружена вся история магазина.", olderPage: "Раньше",
		historySince: func(day string) string { return "История загружена с " + day + "." },
		statedStory:  func(q string) string { return "Терминал показывал " + q + ":" },
		outsideStory: func(q string) string { return "Остаток изменили без документа: " + q + "." },
		whenColumn:   "Когда", documentColumn: "Документ", terminalColumn: "Терминал", effectColumn: "Изменил", levelColumn: "Стало",
		storyColumn: "Пояснение", unlistedStory: "В полной инвентаризации товара нет, значит, ноль.",

		nothingToCount: "Пересчитывать нечего: по каждому товару остаток понятен.",
		countText:      "Распечатайте список, пересчитайте товар на полке и проведите на терминале инвентаризацию этих товаров. Остальное программа сделает сама.",
		printDo:        "Напечатать", noGroup: "Без группы", shownColumn: "По документам", whyColumn: "Почему", countedColumn: "На полке",
		whyNegative: "Остаток меньше нуля.",
		countLeft: func(products string) string {
			return "И ещё " + products + ": они появятся в списке, когда вы пересчитаете эти."
		},

		noPlan: "Писать нечего: все системы держат верные остатки.", guardsTitle: "Почему нужен ваш взгляд",
		approve: "Утвердить", reject: "Отклонить",
		planGone: "Этот план уже сменился новым. Вернитесь к плану, посмотрите его и решите ещё раз.",
		planMade: func(at, changes string) string { return "Составлен " + at + ", " + changes + "." },
		assumedToo: func(products string) string {
			return "Записать и те остатки, что под вопросом (" + products + ")"
		},
		unmatchedTitle: func(products string) string {
			return "Не нашли пару в этой системе: " + products
		},
		fromColumn: "Сейчас", toColumn: "Станет", sureColumn: "Остаток", earlierPage: "Назад",
		rowsOf:     func(from, to, of string) string { return " " + from + "–" + to + " из " + of + " " },
		planStates: map[journal.PlanState]string{journal.PlanOpen: "ждёт решения", journal.PlanApproved: "записывается"},
		planSaid:   map[string]string{"approved": "План утверждён, запись началась.", "rejected": "План отклонён, ничего не записано."},
		rowStates: map[journal.RowState]string{
			journal.Ready: "ждёт решения", journal.Assumed: "только с отметкой", journal.Skipped: "пропущено",
			journal.Planned: "в очереди", journal.Sent: "отправляется", journal.Accepted: "принято", journal.Verified: "проверено",
			journal.Rejected: "не принято", journal.Blocked: "остановлено",
		},
		guards: map[string]string{
			"fall": "Слишком много товаров упало бы до нуля.", "unresolved": "У части товаров остаток ещё неизвестен; их план не трогает.",
			"empty_catalogue": "Каталог пуст, сравнивать не с чем.", "nothing_matched": "Ни один товар не нашёл пары в этой системе.",
			"incomplete": "Документы загружены не полностью, остатки ещё могут измениться.", "clock_not_trusted": "Часы устройства идут неверно.",
			"reserves_unknown": "Резервы ещё не получены, доступное количество неизвестно.",
		},

		evotor: "Облако Эвотор", noTargets: "Программа пока никуда не пишет.", rejectedTitle: "Не приняты",
		rejectedText: "Эти остатки система не взяла. Повторять сам себя запрос не будет, пока остаток не изменится или причину не устранят.",
		policyFact:   "Запись", waitingFact: "В очереди", rejectedFact: "Не принято", successFact: "Последний успех",
		shownOnly:    "нет, только сравниваем",
		policies:     map[string]string{"off": "выключена", "approve": "после утверждения", "auto": "сама"},
		targetStates: map[string]string{"works": "работает", "off": "не пишем", "compared": "сравниваем", "blocked": "остановлена", "rejected": "не всё принято", "waiting": "записываем"},
		severities:   map[string]string{journal.Info: "к сведению", journal.Warning: "внимание", journal.Error: "ошибка"},
		problemOver:  func(title string) string { return "Больше нет: " + title },
		partFailed:   "Часть программы остановилась и запускается заново.",
		noEvents:     "Событий пока нет.",
	}
	w.reasons = map[stock.Reason]string{
		stock.ReasonReading:  "Пока неясно, какой остаток терминал пишет в таких документах: до операции или после.",
		stock.ReasonDisagree: "Терминалы показывали разные остатки ещё до начала загруженной истории.",
		stock.ReasonAlone:    "Опирается на показание одного терминала, а оно могло устареть.",
		stock.ReasonWindow:   "Остаток меняли без документа; насколько, пока не ясно до конца.",
		stock.ReasonCount:    "Обнулён инвентаризацией, которая не сообщила, полная ли она.",
		stock.ReasonLate:     "Пришёл документ старше, чем хранится история.",
		stock.ReasonOlder:    "Документов пока нет, загружаются более старые месяцы.",
		stock.ReasonNothing:  "За всю историю нет ни одного документа.",
	}
	w.types = map[stock.Type]string{
		stock.Sell: "Продажа", stock.Payback: "Возврат от покупателя", stock.Accept: "Приёмка", stock.Return: "Возврат поставщику",
		stock.WriteOff: "Списание", stock.Buy: "Покупка", stock.Buyback: "Возврат покупки", stock.Inventory: "Инвентаризация",
		stock.OpenTare: "Вскрытие тары", stock.Write: "Запись в Облако",
	}
	w.rules = map[stock.Rule]string{
		stock.RuleFirst:    "первое известное показание, от него и считаем.",
		stock.RuleOwnView:  "новых данных он не загружал.",
		stock.RuleAgree:    "сходится с расчётом.",
		stock.RuleLate:     "прежний остаток, загрузка запоздала.",
		stock.RuleOutside:  "остаток изменили без документа.",
		stock.RuleCount:    "Пересчитано.",
		stock.RuleWrite:    "Остаток записала эта программа.",
		stock.RuleUnstated: "В документе остаток не указан.",
	}
	w.events = russianEvents()
	w.problems = russianProblems()
	w.setup = russianSetup()
	return w
}

func russianEvents() map[string]string {
	return map[string]string{
		"started": "Программа запущена.", "mirror_mended": "Файл с копией облака был повреждён и собирается заново.",
		"plan_waits": "Новый план ждёт решения.", "plan_approved": "План утверждён.", "plan_rejected": "План отклонён.",
		"guard_fired": "Запись остановлена предохранителем.", "target_refuses": "Система отказывается принимать остатки.",
		"target_works": "Система снова принимает остатки.", "rows_refused": "Часть остатков не принята.",
		"load_to_terminals":  "Остатки записаны в Облако: загрузите товары на терминалах.",
		"figure_overwritten": "В системе был не тот остаток, что мы ожидали; записан верный.",
		"full_run_done":      "Полная сверка с системой завершена.", "full_run_stopped": "Полная сверка с системой остановлена.",
		"unknown_document_type":      "Встретился неизвестный вид документа; остаток он не меняет.",
		"unknown_settlement":         "Встретился неизвестный признак расчёта; товар посчитан проданным.",
		"count_without_completeness": "Инвентаризация не сообщила, полная ли она; считаем полной.",
		"count_repeats_product":      "В инвентаризации товар указан несколько раз; количества сложены.",
		"free_price_line":            "Продажа по свободной цене: остатков не касается.",
		"document_changed":           "Документ пришёл ещё раз с другим содержанием; оставлен первый.",
		"history_complete":           "Загружена вся история магазина.",
		"history_ends":               "Два года без документов: более старые больше не запрашиваются.",
		"received_let_go":            "Документы, присланные в магазине, долго не появлялись в Облаке; их копии убраны, чтобы принять новые.",
		"received_twin":              "Документ пришёл дважды под разными номерами; посчитан один раз.",
		"journal_salvaged":           "Файл с планами и отправками был повреждён; что читалось, спасено.",
		"mapping_changed":            "Сопоставление товаров изменено.",
		"command_refused":            "Команда издалека не принята.",
		"override_expired":           "Настройки, данные издалека на время, закончились; снова действуют прежние.",
		"override_fell_back":         "Настройки, данные издалека, не подошли и отменены.",
		"update_committed":           "Новая версия программы работает и остаётся.",
		"update_failed":              "Перейти на новую версию программы не удалось.",
		"update_rolled_back":         "Новая версия программы не подошла, работает прежняя.",
		"page_unreachable_over":      "Страница с остатками снова открывается.",
	}
}

func russianProblems() map[string]problemWords {
	return map[string]problemWords{
		"token_refused":     {"Облако Эвотор не принимает токен.", "Возьмите новый токен в настройках приложения в личном кабинете Эвотор. Позовите того, кто ставил программу."},
		"not_installed":     {"Приложение не установлено или не оплачено.", "Проверьте в личном кабинете Эвотор, что приложение установлено на терминалы этого магазина и оплачено."},
		"forbidden":         {"Облако Эвотор не показывает этот магазин.", "Дайте приложению в личном кабинете Эвотор доступ к товарам, остаткам и документам."},
		"store_not_visible": {"Токен не видит этот магазин.", "Проверьте, что токен от этого личного кабинета и что в настройках указан тот магазин."},
		"device_refused":    {"Документы одного из терминалов не отдаются.", "Проверьте, что приложение установлено и на этот терминал."},
		"cloud_unreachable": {"Нет связи с Облаком Эвотор.", "Проверьте интернет в магазине. Когда он появится, всё продолжится само."},
		"rate_limited":      {"Облако Эвотор просит подождать.", "Делать ничего не нужно, работа продолжится сама."},
		"bad_answer":        {"Облако Эвотор отвечает непонятно.", "Проверьте, не просит ли интернет в магазине входа на отдельной странице. Запрос повторится сам."},
		"request_refused":   {"Облако Эвотор отклонило запрос.", "Запрос повторится сам. Если так останется, позовите того, кто ставил программу."},
		"catalogue_shrank":  {"Каталог в облаке вдруг стал намного короче.", "Этому пока не верим, товары не удаляются. Проверьте каталог в личном кабинете."},
		"cursor_repeated":   {"Облако Эвотор отдаёт одни и те же страницы.", "Делать ничего не нужно, запрос повторится сам."},
		"no_documents":      {"Облако не отдаёт документы.", "Проверьте, что у приложения есть доступ к документам."},
		"items_set_aside":   {"Часть документов понять не удалось, они отложены.", "Остатки товаров из них могут быть неточны. Позовите того, кто ставил программу."},
		"mirror_failed":     {"Не пишется файл на этом устройстве.", "Проверьте, есть ли место на диске и жива ли карта памяти."},
		"page_unreachable":  {"Страница с остатками не открывалась.", "Её адрес занимает другая программа. Позовите того, кто ставил программу."},
		"reserves_unknown":  {"Пока не известно, что обещано покупателям.", "Доступное количество начнём передавать, когда система ответит. Посмотрите раздел «Системы»."},
		"reserves_old":      {"Давно не известно, что обещано покупателям.", "Пока ответа нет, доступное количество передаётся только в меньшую сторону. Посмотрите раздел «Системы»."},
		"targets":           {"Не все системы получили остатки.", "Посмотрите раздел «Системы»."},
	}
}

func russianSetup() setupWords {
	return setupWords{
		title: "Настройка", lead: "Три шага, и программа начнёт считать остатки. Ничего не записывается в Облако, пока вы это не утвердите.",
		tokenTitle: "1. Токен Эвотор", tokenText: "Токен лежит в личном кабинете Эвотор, в настройках приложения.",
		tokenLabel: "Токен", tokenDo: "Проверить", tokenKept: "Токен подошёл.", tokenAgain: "Ввести другой",
		storeTitle: "2. Магазин", storeText: "Выберите магазин, в котором стоит это устройство.", storeDo: "Выбрать",
		noStores:      "Токен подошёл, но магазинов он не видит. Установите приложение на терминалы магазина в личном кабинете Эвотор.",
		backendsTitle: "3. Другие системы", backendsText: "Необязательно. Остатки будут передаваться и туда; добавить систему можно и потом.",
		backendDo: "Проверить и добавить", name: "Название", kind: "Система", url: "Адрес", username: "Имя пользователя",
		key: "Ключ", warehouse: "Номер склада", match: "Товары сопоставлять по",
		kinds:   map[string]string{"virtpos": "VirtPOS", "zelenka": "Zelenka", "keycrm": "KeyCRM"},
		matches: map[string]string{"article": "артикулу", "code": "коду", "barcode": "штрихкоду", "id": "идентификатору Эвотор"},
		remove:  "Убрать", saveTitle: "Готово?", saveText: "Настройки запишутся на это устройство, и начнётся первая загрузка.",
		saveDo: "Сохранить и начать", saved: "Настройки сохранены.", savedText: "Начинается первая загрузка. Через несколько секунд откроется главная страница.",
		failed: "Проверка не прошла. Проверьте введённое и попробуйте ещё раз.", incomplete: "Заполните все поля этого шага.",
		order: "Сначала нужны токен и магазин.", full: "Больше систем за один раз добавить нельзя.",
		trials: map[Trial]string{
			Refused: "Этот токен или ключ не подходит. Скопируйте его ещё раз, целиком.", NoRight: "Ключ подошёл, но прав не хватает. Добавьте ему прав там, где он создан.",
			NotThere: "Такого магазина или склада нет. Проверьте адрес и номер.", Unreachable: "По этому адресу никто не отвечает. Проверьте его и интернет.",
			Malformed: "В полях что-то указано неверно.", NotSaved: "Настройки не записались. Проверьте, есть ли место на диске и может ли программа туда писать.",
			Strange: "Ответ непонятен. Проверьте адрес и не просит ли интернет входа на отдельной странице.",
		},
		codeFirst: "Для настройки нужен код доступа: его показывает программа при установке.",
	}
}
