package zone

import (
	"strings"
	"time"
)

// table lists the zones in which Evotor's terminals are sold and that keep one
// distance from UTC all year round, each group after its distance in minutes. The
// whole database would add 450 kB to the program for zones with rules that none
// of these has. A test compares it with that database.
const table = `
120 Europe/Kaliningrad
180 Europe/Moscow Europe/Simferopol Europe/Kirov Europe/Volgograd Europe/Minsk
240 Europe/Samara Europe/Astrakhan Europe/Saratov Europe/Ulyanovsk Asia/Yerevan Asia/Tbilisi Asia/Baku
300 Asia/Yekaterinburg Asia/Almaty Asia/Qyzylorda Asia/Qostanay Asia/Aqtobe Asia/Aqtau Asia/Atyrau Asia/Oral Asia/Tashkent Asia/Samarkand Asia/Dushanbe Asia/Ashgabat
360 Asia/Omsk Asia/Bishkek
420 Asia/Novosibirsk Asia/Barnaul Asia/Tomsk Asia/Novokuznetsk Asia/Krasnoyarsk
480 Asia/Irkutsk
540 Asia/Chita Asia/Yakutsk Asia/Khandyga
600 Asia/Vladivostok Asia/Ust-Nera
660 Asia/Magadan Asia/Sakhalin Asia/Srednekolymsk
720 Asia/Kamchatka Asia/Anadyr
0 Etc/UTC Etc/GMT
`

// fixed returns a zone of the table, nil when it is not there.
func fixed(name string) *time.Location {
	for line := range strings.Lines(table) {
		minutes, names, _ := strings.Cut(strings.TrimSpace(line), " ")
		for each := range strings.FieldsSeq(names) {
			if each != name {
				continue
			}
			offset := 0
			for _, digit := range minutes {
				offset = 10*offset + int(digit-'0')
			}
			return time.FixedZone(name, offset*60)
		}
	}
	return nil
}
