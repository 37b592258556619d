package agent

import "net/http"

// Web is what the agent serves at local.listen.
func (a *Agent) Web() http.Handler { return a.web.handler }
