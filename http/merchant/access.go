package merchant

import (
	"strconv"
	"strings"
)

// Caller is a kind of caller in AccessTable.
type Caller string

// The callers that a test of rights walks through. All but Stranger, Anonymous
// and Operator belong to the organisation that owns the site, user and key in
// question; Stranger owns another one.
const (
	Anonymous    Caller = "anonymous"
	Viewer       Caller = "viewer"
	Admin        Caller = "admin"
	Owner        Caller = "owner"
	Stranger     Caller = "owner of another organisation"
	ReadKey      Caller = "key with stats:read"
	WriteKey     Caller = "key with events:write"
	ProvisionKey Caller = "key with sites:provision"
	Operator     Caller = "operator"
)

// Callers lists every caller.
func Callers() []Caller {
	return []Caller{Anonymous, Viewer, Admin, Owner, Stranger, ReadKey, WriteKey, ProvisionKey, Operator}
}

// Access says what a route answers to each caller for a request that is good in
// itself and is about a site that is not public. A test walks all of it; a
// route without a row fails it.
type Access struct {
	Method, Path string
	Status       map[Caller]int
}

// access has a line per route and, after the path, a column per caller in the
// order of Callers.
const access = `
GET    /v1/setup/{token}      404 404 404 404 404 404 404 404 404
POST   /v1/setup              404 404 404 404 404 404 404 404 404
POST   /v1/session            200 200 200 200 200 200 200 200 200
GET    /v1/session            401 200 200 200 200 401 401 401 401
DELETE /v1/session            204 204 204 204 204 204 204 204 204
GET    /v1/sessions           401 200 200 200 200 403 403 403 403
DELETE /v1/sessions           401 204 204 204 204 403 403 403 403
DELETE /v1/sessions/{id}      401 404 404 404 404 403 403 403 403
PUT    /v1/password           401 204 204 204 204 403 403 403 403
GET    /v1/second-factor      401 200 200 200 200 403 403 403 403
POST   /v1/second-factor      401 200 200 200 200 403 403 403 403
PUT    /v1/second-factor      401 200 200 200 200 403 403 403 403
DELETE /v1/second-factor      401 204 204 204 204 403 403 403 403
GET    /v1/preferences        401 200 200 200 200 403 403 403 403
PUT    /v1/preferences        401 200 200 200 200 403 403 403 403
GET    /v1/orgs               401 403 403 403 403 403 403 403 200
POST   /v1/orgs               401 403 403 403 403 403 403 403 201
GET    /v1/users              401 403 403 200 200 403 403 403 200
POST   /v1/users              401 403 403 201 201 403 403 403 201
PUT    /v1/users/{id}         401 403 403 200 404 403 403 403 200
DELETE /v1/users/{id}         401 403 403 204 404 403 403 403 204
DELETE /v1/users/{id}/second-factor 401 403 403 204 404 403 403 403 204
GET    /v1/keys               401 403 403 200 200 403 403 403 200
POST   /v1/keys               401 403 403 201 201 403 403 403 201
DELETE /v1/keys/{id}          401 403 403 204 404 403 403 403 204
GET    /v1/overview           401 200 200 200 200 200 403 403 200
GET    /v1/sites              401 200 200 200 200 200 403 200 200
POST   /v1/sites              401 403 201 201 201 403 403 201 201
GET    /v1/sites/{site}       401 200 200 200 404 200 403 200 200
PUT    /v1/sites/{site}       401 403 200 200 404 403 403 200 200
DELETE /v1/sites/{site}       401 403 204 204 404 403 403 204 204
GET    /v1/sites/{site}/live  401 200 200 200 404 200 403 403 200
GET    /v1/sites/{site}/live/events 401 200 200 200 404 200 403 403 200
GET    /v1/sites/{site}/inspector 401 200 200 200 404 200 403 403 200
GET    /v1/sites/{site}/check 401 200 200 200 404 200 403 200 200
GET    /v1/sites/{site}/reports 401 403 200 200 404 403 403 200 200
PUT    /v1/sites/{site}/reports 401 403 200 200 404 403 403 200 200
POST   /v1/shared-link/session 404 404 404 404 404 404 404 404 404
GET    /v1/sites/{site}/drops 401 200 200 200 404 200 403 403 200
GET    /v1/sites/{site}/seals 401 200 200 200 404 200 403 403 200
POST   /v1/sites/{site}/erase 401 403 200 200 404 403 403 403 200
GET    /v1/sites/{site}/guests 401 403 200 200 404 403 403 200 200
GET    /v1/sites/{site}/annotations 401 200 200 200 404 200 403 200 200
POST   /v1/sites/{site}/annotations 401 201 201 201 404 403 403 201 201
PUT    /v1/sites/{site}/annotations/{id} 401 403 200 200 404 403 403 200 200
DELETE /v1/sites/{site}/annotations/{id} 401 403 204 204 404 403 403 204 204
GET    /v1/sites/{site}/funnels 401 200 200 200 404 200 403 200 200
POST   /v1/sites/{site}/funnels 401 403 201 201 404 403 403 201 201
PUT    /v1/sites/{site}/funnels/{id} 401 403 200 200 404 403 403 200 200
DELETE /v1/sites/{site}/funnels/{id} 401 403 204 204 404 403 403 204 204
`

// AccessTable is who may do what at this door.
func AccessTable() []Access {
	var out []Access
	for line := range strings.Lines(access) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		row := Access{Method: fields[0], Path: fields[1], Status: map[Caller]int{}}
		for i, caller := range Callers() {
			status, err := strconv.Atoi(fields[2+i])
			if err != nil {
				panic("merchant: access table: " + line)
			}
			row.Status[caller] = status
		}
		out = append(out, row)
	}
	return out
}
