package enrich

import (
	"net/netip"

	"footfall/analytics"
)

// ExplainInput is a view to be explained. Every field may be missing. It reads
// itself from JSON, one view a line.
type ExplainInput struct {
	UserAgent      string `json:"user_agent"`
	Referrer       string `json:"referrer"`
	URL            string `json:"url"`
	IP             string `json:"ip"`
	AcceptLanguage string `json:"accept_language"`
	Platform       string `json:"platform"` // Sec-CH-UA-Platform, quotes included
	Mobile         string `json:"mobile"`   // Sec-CH-UA-Mobile
	ScreenWidth    int    `json:"screen_width"`
}

// Explanation is how such a view would be counted. The address is not in it.
type Explanation struct {
	Browser        string `json:"browser"`
	BrowserVersion string `json:"browser_version"`
	OS             string `json:"os"`
	OSVersion      string `json:"os_version"`
	Device         string `json:"device"`
	Bot            bool   `json:"bot"`
	BotRule        string `json:"bot_rule"`
	Source         string `json:"source"`
	Referrer       string `json:"referrer"`
	Channel        string `json:"channel"`
	UTMSource      string `json:"utm_source"`
	UTMMedium      string `json:"utm_medium"`
	UTMCampaign    string `json:"utm_campaign"`
	UTMContent     string `json:"utm_content"`
	UTMTerm        string `json:"utm_term"`
	ClickID        string `json:"click_id"`
	Spam           bool   `json:"spam"`
	Country        string `json:"country"`
	Region         string `json:"region"`
	City           string `json:"city"`
	Hostname       string `json:"hostname"`
	Page           string `json:"page"`
	Language       string `json:"language"`
	Screen         string `json:"screen"`
	Dropped        string `json:"dropped"`         // the reason for which it would not be counted; "" if it would
	Error          string `json:"error,omitempty"` // what is wrong with the input; the rest is explained all the same
}

// Explain says how a view would be counted. The settings of a site (blocked
// pages, allowed hosts) are not part of it.
func (e *Enricher) Explain(in ExplainInput) Explanation {
	var x Explanation
	ua := e.UserAgent([]byte(in.UserAgent), Hints{Platform: []byte(in.Platform), Mobile: []byte(in.Mobile)})
	x.Browser, x.BrowserVersion, x.OS, x.OSVersion, x.Device = ua.Browser, ua.BrowserVersion, ua.OS, ua.OSVersion, ua.Device
	x.Bot, x.BotRule = ua.Bot, ua.BotRule

	var page URL
	if in.URL != "" {
		var err error
		if page, err = SplitURL(in.URL); err != nil {
			x.Error = err.Error()
		}
	}
	x.Hostname, x.Page = page.Host, page.Page

	acq, spam := e.Acquisition(in.Referrer, page.Host, page.Query)
	x.Source, x.Referrer, x.Channel, x.ClickID, x.Spam = acq.Source, acq.Referrer, acq.Channel, acq.ClickID, spam
	x.UTMSource, x.UTMMedium, x.UTMCampaign = acq.UTMSource, acq.Medium, acq.Campaign
	x.UTMContent, x.UTMTerm = acq.Content, acq.Term

	if in.IP != "" {
		addr, err := netip.ParseAddr(in.IP)
		if err != nil {
			x.Error = "ip: is not an address"
		} else {
			p := e.Place(addr)
			x.Country, x.Region, x.City = p.Country, p.Region, p.City
		}
	}
	x.Language = Language([]byte(in.AcceptLanguage))
	x.Screen = ScreenClass(in.ScreenWidth)
	switch {
	case x.Error != "":
		x.Dropped = string(analytics.DropInvalid)
	case spam:
		x.Dropped = string(analytics.DropSpam)
	case ua.Bot:
		x.Dropped = string(analytics.DropBot)
	}
	return x
}
