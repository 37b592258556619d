package message

import "strings"

const prefix = "ostatok/v1/"

// Everyone stands for the store in the topic that reaches every shop of a tenant,
// and in the audience of such a command.
const Everyone = "all"

// Topics are those of one shop.
type Topics struct {
	State, Status, Event, Stock, Command, Result string
}

// TopicsOf returns the topics of a shop; Any for tenant or store gives filters.
func TopicsOf(tenant, store string) Topics {
	base := prefix + tenant + "/" + store + "/"
	return Topics{
		State: base + "state", Status: base + "status", Event: base + "event", Stock: base + "stock",
		Command: base + "command", Result: base + "command/result",
	}
}

// Any stands for every tenant or store in a filter.
const Any = "+"

// CommandToAll is the topic of commands to every shop of a tenant.
func CommandToAll(tenant string) string { return prefix + tenant + "/" + Everyone + "/command" }

// Split takes a topic apart: rest is "state", "command/result" and so on. ok is
// false for a topic that is none of ours.
func Split(topic string) (tenant, store, rest string, ok bool) {
	parts := strings.SplitN(topic, "/", 5)
	if len(parts) < 5 || parts[0]+"/"+parts[1]+"/" != prefix || parts[2] == "" || parts[3] == "" || parts[4] == "" {
		return "", "", "", false
	}
	return parts[2], parts[3], parts[4], true
}
