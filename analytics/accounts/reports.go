package accounts

import (
	"slices"
	"strings"

	"footfall/analytics"
)

// Bounds of the reports of one site.
const (
	ReportEmailsMax    = 50
	ReportWebhooksMax  = 10
	webhookBytesMax    = 1000
	reportSecretBytes  = 43 // of base64url: 256 bits
	reportLeaseMaxMS   = 60 * 60 * 1000
	reportPeriodLayout = len("2026-11-02")
)

// Cadence is how often a report goes out.
type Cadence string

const (
	Weekly  Cadence = "weekly"  // of the site's weeks, Monday to Sunday
	Monthly Cadence = "monthly" // of the site's calendar months
)

// Cadences lists both.
func Cadences() []Cadence { return []Cadence{Weekly, Monthly} }

// ReportPlan is where the reports of one cadence go.
type ReportPlan struct {
	Emails   []string `json:"emails,omitempty"`   // as NormalizeEmail gives them
	Webhooks []string `json:"webhooks,omitempty"` // addresses with http or https
}

// Empty tells whether there is nowhere to go.
func (p ReportPlan) Empty() bool { return len(p.Emails)+len(p.Webhooks) == 0 }

// ReportProgress is how far the newest period's report is. Periods are named by
// their first day, "2026-11-02", so that they compare as texts.
type ReportProgress struct {
	Since  int64    `json:"since,omitempty"`  // Unix ms from when on there is a plan; periods that ended before are not reported
	Period string   `json:"period,omitempty"` // the last one that was begun
	Over   bool     `json:"over,omitempty"`   // nothing more is sent of it
	By     uint64   `json:"by,omitempty"`     // who is at it
	Until  int64    `json:"until,omitempty"`  // Unix ms to when nobody else may be
	Tries  int      `json:"tries,omitempty"`  // how often somebody has begun
	Sent   []string `json:"sent,omitempty"`   // addresses that have it, or refuse it for good
}

// Reports are the reports of a site by e-mail and webhook. Immutable.
type Reports struct {
	Site    analytics.SiteID `json:"site"`
	Secret  string           `json:"secret"` // signs webhooks; shown to those who manage the site
	Weekly  ReportPlan       `json:"weekly"`
	Monthly ReportPlan       `json:"monthly"`

	WeeklyProgress  ReportProgress `json:"weekly_progress"`
	MonthlyProgress ReportProgress `json:"monthly_progress"`
}

// Of gives the plan of a cadence and how far it is.
func (r *Reports) Of(c Cadence) (ReportPlan, ReportProgress) {
	if c == Monthly {
		return r.Monthly, r.MonthlyProgress
	}
	return r.Weekly, r.WeeklyProgress
}

func (r *Reports) progress(c Cadence) *ReportProgress {
	if c == Monthly {
		return &r.MonthlyProgress
	}
	return &r.WeeklyProgress
}

// PutReports replaces where a site's reports go. Secret is taken where the site
// has none yet.
type PutReports struct {
	Site    analytics.SiteID `json:"site"`
	Secret  string           `json:"secret"`
	Weekly  ReportPlan       `json:"weekly"`
	Monthly ReportPlan       `json:"monthly"`
}

func (c *PutReports) kind() kind { return kindPutReports }

func (c *PutReports) Check() (err error) {
	if len(c.Secret) != reportSecretBytes {
		return invalid("secret: must be 256 random bits in base64url")
	}
	if err := c.Weekly.check("weekly"); err != nil {
		return err
	}
	return c.Monthly.check("monthly")
}

func (p *ReportPlan) check(field string) (err error) {
	if p.Emails, err = cleanList(field+".emails", p.Emails, ReportEmailsMax, NormalizeEmail); err != nil {
		return err
	}
	p.Webhooks, err = cleanList(field+".webhooks", p.Webhooks, ReportWebhooksMax, cleanWebhook)
	return err
}

// cleanWebhook wants the address of a page, without a name and a password, which
// would be shown to all who manage the site.
func cleanWebhook(text string) (string, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	host, _, _ := strings.Cut(rest, "/")
	host, _, _ = strings.Cut(host, "?")
	fits := ok && len(text) <= webhookBytesMax && (scheme == "https" || scheme == "http") && host != "" && host[0] != ':'
	for i := range len(text) {
		fits = fits && text[i] > ' ' && text[i] < 0x7f && !strings.ContainsRune("\\\"<>#", rune(text[i]))
	}
	if !fits || strings.Contains(host, "@") {
		return "", invalid("%q is no address like https://example.com/hook", clip(text))
	}
	return text, nil
}

// ClaimReport asks to be the one who sends the report of a period. It is Conflict
// while somebody else is at it, and when the period is over or a later one was
// begun.
type ClaimReport struct {
	Site    analytics.SiteID `json:"site"`
	Cadence Cadence          `json:"cadence"`
	Period  string           `json:"period"`
	By      uint64           `json:"by"`    // random, of this try
	Until   int64            `json:"until"` // Unix ms
}

func (c *ClaimReport) kind() kind { return kindClaimReport }

func (c *ClaimReport) Check() error {
	if c.By == 0 {
		return invalid("by: must be random")
	}
	return checkPeriod(c.Cadence, c.Period)
}

// SettleReport says what became of a try that was claimed: Sent have the report
// or refuse it for good; Over ends it. Until is when somebody may try again.
type SettleReport struct {
	Site    analytics.SiteID `json:"site"`
	Cadence Cadence          `json:"cadence"`
	Period  string           `json:"period"`
	By      uint64           `json:"by"`
	Sent    []string         `json:"sent,omitempty"`
	Over    bool             `json:"over,omitempty"`
	Until   int64            `json:"until,omitempty"` // Unix ms
}

func (c *SettleReport) kind() kind { return kindSettleReport }

func (c *SettleReport) Check() error {
	if len(c.Sent) > ReportEmailsMax+ReportWebhooksMax {
		return invalid("sent: more than there can be")
	}
	return checkPeriod(c.Cadence, c.Period)
}

func checkPeriod(c Cadence, period string) error {
	switch {
	case !slices.Contains(Cadences(), c):
		return invalid("cadence: must be weekly or monthly")
	case len(period) != reportPeriodLayout:
		return invalid("period: must be a date")
	}
	return nil
}

func (c *PutReports) apply(s *State, at int64) Result {
	if err := s.checkSite(c.Site); err != nil {
		return Result{Err: err}
	}
	r := Reports{Site: c.Site, Secret: c.Secret}
	if old, ok := s.view.reports.get(uint64(c.Site)); ok {
		r = *old
	}
	for _, p := range []struct {
		to       *ReportPlan
		from     ReportPlan
		progress *ReportProgress
	}{{&r.Weekly, c.Weekly, &r.WeeklyProgress}, {&r.Monthly, c.Monthly, &r.MonthlyProgress}} {
		if p.to.Empty() && !p.from.Empty() {
			p.progress.Since = at
		}
		*p.to = p.from
	}
	s.putReports(&r)
	return Result{Reports: &r}
}

func (c *ClaimReport) apply(s *State, at int64) Result {
	old, ok := s.view.reports.get(uint64(c.Site))
	if !ok {
		return refused(analytics.NotFound, "reports: the site has none")
	}
	r := *old
	p := r.progress(c.Cadence)
	switch {
	case p.Period > c.Period || p.Period == c.Period && p.Over:
		return refused(analytics.Conflict, "period: its report was sent")
	case p.Period == c.Period && p.Until > at && p.By != c.By:
		return refused(analytics.Conflict, "period: its report is being sent")
	case p.Period < c.Period:
		*p = ReportProgress{Since: p.Since, Period: c.Period}
	}
	p.By, p.Until = c.By, min(c.Until, at+reportLeaseMaxMS)
	p.Tries++
	s.putReports(&r)
	return Result{Reports: &r}
}

func (c *SettleReport) apply(s *State, _ int64) Result {
	old, ok := s.view.reports.get(uint64(c.Site))
	if !ok {
		return refused(analytics.NotFound, "reports: the site has none")
	}
	r := *old
	p := r.progress(c.Cadence)
	if p.Period != c.Period || p.By != c.By {
		return refused(analytics.Conflict, "period: somebody else sends its report")
	}
	p.Sent = slices.Clone(p.Sent)
	for _, to := range c.Sent {
		if !slices.Contains(p.Sent, to) {
			p.Sent = append(p.Sent, to)
		}
	}
	p.By, p.Until, p.Over = 0, c.Until, c.Over
	if p.Over {
		p.Sent, p.Until = nil, 0
	}
	s.putReports(&r)
	return Result{Reports: &r}
}

func (s *State) putReports(r *Reports) {
	s.view.reports = s.view.reports.put(uint64(r.Site), r)
	s.mark(RefReports, uint64(r.Site))
}

func (s *State) dropReports(site analytics.SiteID) {
	if _, ok := s.view.reports.get(uint64(site)); ok {
		s.view.reports = s.view.reports.delete(uint64(site))
		s.mark(RefReports, uint64(site))
	}
}

// Reports gives where the reports of a site go; false if that was never said.
func (v *View) Reports(site analytics.SiteID) (*Reports, bool) { return v.reports.get(uint64(site)) }

// AllReports walks the reports of all sites.
func (v *View) AllReports(yield func(*Reports) bool) {
	for _, r := range v.reports.from(0) {
		if !yield(r) {
			return
		}
	}
}
