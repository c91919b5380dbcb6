package edge

import (
	"fmt"
	"sort"
	"strings"

	"github.com/valyala/fasthttp"

	"footfall/http/door"
)

// methods are what the server knows at all; everything else, TRACE and CONNECT
// among it, is answered 405.
var methods = [...]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}

const allMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

func knownMethod(m string) bool {
	for _, k := range methods {
		if k == m {
			return true
		}
	}
	return false
}

// mount fills the router. GET routes answer HEAD too, and routes for other
// origins answer OPTIONS, unless they have a route of their own for it.
func (s *Server) mount(routes []door.Route) error {
	s.routes = append([]door.Route(nil), routes...)
	sort.SliceStable(s.routes, func(i, j int) bool {
		if s.routes[i].Path != s.routes[j].Path {
			return s.routes[i].Path < s.routes[j].Path
		}
		return s.routes[i].Method < s.routes[j].Method
	})
	own := map[string]bool{}
	for _, r := range s.routes {
		key := r.Method + " " + shape(r.Path)
		switch {
		case !knownMethod(r.Method):
			return fmt.Errorf("edge: route %s %s: method is not served", r.Method, r.Path)
		case r.Handler == nil:
			return fmt.Errorf("edge: route %s %s: no handler", r.Method, r.Path)
		case strings.Count(r.Path, "{") != strings.Count(r.Path, "}"):
			return fmt.Errorf("edge: route %s %s: brackets do not match", r.Method, r.Path)
		case own[key]:
			return fmt.Errorf("edge: route %s %s: mounted twice", r.Method, r.Path)
		}
		own[key] = true
	}
	for i := range s.routes {
		r := &s.routes[i]
		if r.Method == beaconMethod && r.Path == beaconPath && r.Need == door.Public {
			s.beacon = r.Handler
		}
		if r.BodyMax > bodyBytesDefault {
			s.large = append(s.large, *r)
		}
		if err := s.add(r.Method, r); err != nil {
			return err
		}
		if r.Method == "GET" && !own["HEAD "+shape(r.Path)] {
			if err := s.add("HEAD", r); err != nil {
				return err
			}
		}
		if preflight := "OPTIONS " + shape(r.Path); r.CrossOrigin && r.Method != "OPTIONS" && !own[preflight] {
			own[preflight] = true
			options := door.Route{Method: "OPTIONS", Path: r.Path, CrossOrigin: true, Handler: s.preflight}
			if err := s.add("OPTIONS", &options); err != nil {
				return err
			}
		}
	}
	return nil
}

// add hands one route to the router, whose panics on conflicts become errors.
func (s *Server) add(method string, r *door.Route) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("edge: route %s %s: %v", method, r.Path, p)
		}
	}()
	s.router.Handle(method, r.Path, func(ctx *fasthttp.RequestCtx) { s.serve(ctx, r) })
	return nil
}

// shape is a path with its parameters' names left out: paths of the same shape
// answer the same requests.
func shape(path string) string {
	var out strings.Builder
	for {
		before, rest, found := strings.Cut(path, "{")
		out.WriteString(before)
		if !found {
			return out.String()
		}
		name, after, _ := strings.Cut(rest, "}")
		out.WriteString("{")
		if _, rule, ok := strings.Cut(name, ":"); ok {
			out.WriteString(rule)
		}
		out.WriteString("}")
		path = after
	}
}

// matches tells whether path is one of the pattern's.
func matches(pattern, path string) bool {
	for {
		p, prest, pmore := strings.Cut(pattern, "/")
		q, qrest, qmore := strings.Cut(path, "/")
		switch {
		case strings.HasPrefix(p, "{") && strings.HasSuffix(p, ":*}"):
			return true
		case strings.HasPrefix(p, "{") && q != "":
		case p != q:
			return false
		}
		if !pmore || !qmore {
			return pmore == qmore
		}
		pattern, path = prest, qrest
	}
}

// allow lists the methods that path has, for 405 and OPTIONS.
func (s *Server) allow(path string) string {
	var out []string
	for _, m := range methods {
		if h, _ := s.router.Lookup(m, path, nil); h != nil {
			out = append(out, m)
		}
	}
	if out == nil && s.hasFallback(path) {
		out = append(out, "GET", "HEAD")
	}
	if out == nil {
		return ""
	}
	if out[len(out)-1] != "OPTIONS" {
		out = append(out, "OPTIONS")
	}
	return strings.Join(out, ", ")
}

func (s *Server) hasFallback(path string) bool {
	return s.fallback.Handler != nil && !strings.HasPrefix(path, "/api/") && !strings.HasPrefix(path, "/v1/")
}
