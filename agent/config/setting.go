package config

import (
	"slices"
	"time"
)

// setting is a key of the file with its place in a Config.
type setting struct {
	key string
	value
}

// settings lists every key there is. The limits are here and nowhere else.
func (c *Config) settings() []setting {
	return []setting{
		{"store", text(&c.Store, "the id of the shop in the Evotor cloud", storeID)},
		{"data_dir", text(&c.DataDir, "a directory", absolute)},
		{"language", choice(&c.Language, "ru", "en")},
		{"timezone", text(&c.Timezone, `a time zone such as "Europe/Moscow"`, timezone)},
		{"dns", list(&c.DNS, nameServer)},

		{"evotor.url", text(&c.Evotor.URL, "the address of the cloud", webURL)},
		{"evotor.token", secret(&c.Evotor.Token)},
		{"evotor.token_file", text(&c.Evotor.TokenFile, "a file", absolute)},
		{"evotor.auth", choice(&c.Evotor.Auth, "bearer", "raw", "x-authorization")},
		// A cloud that is asked more often than this answers 429 to everyone of
		// the same user.
		{"evotor.poll", duration(&c.Evotor.Poll, 5*time.Second, 6*time.Hour)},
		// Documents of a terminal that was offline arrive late: less than a day
		// loses them, more than a month is the re-scan's work.
		{"evotor.overlap", duration(&c.Evotor.Overlap, time.Hour, 31*day)},
		{"evotor.horizon", whole(&c.Evotor.Horizon, 1, 60)},
		{"evotor.per_device", flag(&c.Evotor.PerDevice)},
		{"evotor.write", choice(&c.Evotor.Write, Off, Approve, Auto)},

		{"stock.method", choice(&c.Stock.Method, "ledger", "guide")},
		{"stock.cloud_quantity", choice(&c.Stock.CloudQuantity, "ignore", "observe", "trust")},
		{"stock.reading", pairs(&c.Stock.Reading, reading)},
		{"stock.open_tare", flag(&c.Stock.OpenTare)},
		{"stock.sub_positions", flag(&c.Stock.SubPositions)},

		// Above a half the guard would let a plan through that empties the shop.
		{"guard.fall_share", share(&c.Guard.FallShare, 0.01, 0.5)},
		{"guard.fall_floor", whole(&c.Guard.FallFloor, 1, 100)},

		// Less than the horizon would be read again and again.
		{"mirror.keep", duration(&c.Mirror.Keep, LeastKept, 3650*day)},
		// A shop of 100 000 documents has a tenth of a gigabyte.
		{"mirror.budget", size(&c.Mirror.Budget, 64<<20, 64<<30)},

		{"mqtt.urls", list(&c.MQTT.URLs, brokerURL)},
		{"mqtt.tenant", text(&c.MQTT.Tenant, "the tenant's name", topicLevel)},
		{"mqtt.username", text(&c.MQTT.Username, "a name", nil)},
		{"mqtt.password_file", text(&c.MQTT.PasswordFile, "a file", absolute)},
		{"mqtt.ca_file", text(&c.MQTT.CAFile, "a file", absolute)},
		{"mqtt.cert_file", text(&c.MQTT.CertFile, "a file", absolute)},
		{"mqtt.key_file", text(&c.MQTT.KeyFile, "a file", absolute)},
		{"mqtt.operators", list(&c.MQTT.Operators, operator)},

		{"local.listen", text(&c.Local.Listen, "an address such as 127.0.0.1:8480", listenAddress)},
		{"local.access_file", text(&c.Local.AccessFile, "a file", absolute)},
		{"local.ingest", flag(&c.Local.Ingest)},

		{"update.release_keys", list(&c.Update.ReleaseKeys, releaseKey)},
		{"update.url", text(&c.Update.URL, "the address of the server with releases", webURL)},
		{"update.channel", text(&c.Update.Channel, "the channel's name", topicLevel)},
		{"update.window", text(&c.Update.Window, `hours such as "02:00-05:00"`, hours)},
		{"update.pin", text(&c.Update.Pin, "a version", nil)},
		// Too short proves nothing; too long is a box that cannot be updated at night.
		{"update.trial", duration(&c.Update.Trial, 5*time.Second, 30*time.Minute)},

		{"log.level", choice(&c.Log.Level, "trace", "debug", "info", "warn", "error")},
	}
}

// settings lists the keys of one [[target]] of a kind.
func (t *Target) settings() []setting { return slices.Concat(t.common(), t.own()) }

// common lists the keys of every target.
func (t *Target) common() []setting {
	return []setting{
		{"name", text(&t.Name, "a short name", topicLevel)},
		{"kind", choice(&t.Kind, VirtPOS, Zelenka, KeyCRM)},
		{"url", text(&t.URL, "the address of the system", webURL)},
		{"key_file", text(&t.KeyFile, "a file", absolute)},
		{"warehouse", text(&t.Warehouse, "the warehouse's id", nil)},
		{"match", choice(&t.Match, "id", "code", "article", "barcode", "mapping")},
		{"quantity", choice(&t.Quantity, "physical", "available")},
		{"write", choice(&t.Write, Off, Approve, Auto)},
		{"full", text(&t.Full, `a time of day such as "03:30"`, timeOfDay)},
	}
}

// own lists the keys that only targets of its kind have.
func (t *Target) own() []setting {
	switch t.Kind {
	case VirtPOS:
		return []setting{
			{"format", choice(&t.Format, "xml", "json")},
			// A whole catalogue has to fit into a day.
			{"pace", duration(&t.Pace, 0, 10*time.Second)},
			{"warehouse_external", flag(&t.WarehouseExternal)},
			{"external", flag(&t.External)},
			{"full_zero", choice(&t.FullZero, "single", "mass")},
		}
	case Zelenka:
		return []setting{
			{"username", text(&t.Username, "the user name of the account", nil)},
		}
	case KeyCRM:
		return []setting{
			// The vendor's documents say 20, 60 and 120 a minute.
			{"rate", whole(&t.Rate, 1, 6000)},
			{"batch", whole(&t.Batch, 1, 10_000)},
			{"precision", choice(&t.Precision, "0.001", "1")},
			{"negative", flag(&t.Negative)},
			{"direction", choice(&t.Direction, Push, Pull)},
			{"reserves", flag(&t.Reserves)},
			{"hook_secret_file", text(&t.HookSecretFile, "a file", absolute)},
		}
	}
	return nil
}

func defaultTarget() Target {
	return Target{
		Match: "article", Quantity: "physical", Write: Approve,
		Format: "xml", FullZero: "single",
		Rate: 20, Batch: 200, Precision: "0.001", Direction: Push, Reserves: true,
	}
}
