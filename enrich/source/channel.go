package source

import "strings"

// The channels. Their names are those of Plausible's API.
const (
	CrossNetwork    = "Cross-network"
	PaidShopping    = "Paid Shopping"
	PaidSearch      = "Paid Search"
	PaidSocial      = "Paid Social"
	PaidVideo       = "Paid Video"
	Display         = "Display"
	PaidOther       = "Paid Other"
	OrganicShopping = "Organic Shopping"
	OrganicSocial   = "Organic Social"
	OrganicVideo    = "Organic Video"
	AIAssistants    = "AI Assistants"
	OrganicSearch   = "Organic Search"
	EmailChannel    = "Email"
	Affiliates      = "Affiliates"
	AudioChannel    = "Audio"
	SMS             = "SMS"
	Push            = "Mobile Push Notifications"
	ReferralChannel = "Referral"
	Direct          = "Direct"
)

// Channel puts a visit into a channel by its source, medium, campaign and click
// id: the first rule that fits decides. The rules are Google's public ones for
// its default channel group, in Plausible's order, with assistants before
// search.
func (t *Table) Channel(sourceName, medium, campaign, clickID string) string {
	var from Source
	if sourceName != "" {
		from = t.Tag(sourceName)
	}
	return channel(from, medium, campaign, clickID)
}

func channel(from Source, medium, campaign, clickID string) string {
	name := ""
	if from.Category == Other {
		name = strings.ToLower(from.Name)
	}
	medium, campaign = strings.ToLower(medium), strings.ToLower(campaign)
	pays := paid(medium)
	sells := from.Category == Shopping || shop(campaign)
	switch {
	case strings.Contains(campaign, "cross-network"):
		return CrossNetwork
	case sells && pays:
		return PaidShopping
	case from.Category == Search && pays, from.Name == "Google" && clickID == "gclid", from.Name == "Bing" && clickID == "msclkid":
		return PaidSearch
	case from.Category == Social && pays:
		return PaidSocial
	case from.Category == Video && pays:
		return PaidVideo
	case isAny(medium, "display", "banner", "expandable", "interstitial", "cpm"):
		return Display
	case pays:
		return PaidOther
	case sells:
		return OrganicShopping
	case from.Category == Social, isAny(medium, "social", "social-network", "social-media", "sm", "social network", "social media"):
		return OrganicSocial
	case from.Category == Video, strings.Contains(medium, "video"):
		return OrganicVideo
	case from.Category == AI:
		return AIAssistants
	case from.Category == Search, medium == "organic":
		return OrganicSearch
	case from.Category == Email, mail(name), mail(medium):
		return EmailChannel
	case isAny(medium, "affiliate", "affiliates"):
		return Affiliates
	case medium == "audio", from.Category == Audio:
		return AudioChannel
	case medium == "sms", name == "sms":
		return SMS
	case strings.HasSuffix(medium, "push"), strings.Contains(medium, "mobile"), strings.Contains(medium, "notification"), name == "firebase":
		return Push
	case isAny(medium, "referral", "app", "link"), name != "":
		return ReferralChannel
	}
	return Direct
}

// paid tells whether a medium is paid for: "cpc", "ppc", "paid_social", …
func paid(medium string) bool {
	return strings.Contains(medium, "cp") || medium == "ppc" || medium == "retargeting" || strings.HasPrefix(medium, "paid")
}

// shop tells whether a campaign sells: "shop" as a word or after an e ("eshop"),
// not within another word ("workshop"), or "shopping" anywhere.
func shop(campaign string) bool {
	if strings.Contains(campaign, "shopping") {
		return true
	}
	for rest := campaign; ; {
		i := strings.Index(rest, "shop")
		if i < 0 {
			return false
		}
		if before := len(campaign) - len(rest) + i - 1; before < 0 || campaign[before] == 'e' || campaign[before] < 'a' || campaign[before] > 'z' {
			return true
		}
		rest = rest[i+1:]
	}
}

// mail tells whether a medium, or the name of a source without a category, speaks
// of letters.
func mail(s string) bool {
	return strings.Contains(s, "email") || strings.Contains(s, "e-mail") || strings.Contains(s, "e_mail") ||
		strings.Contains(s, "e mail") || strings.Contains(s, "newsletter")
}

func isAny(s string, list ...string) bool {
	for _, other := range list {
		if s == other {
			return true
		}
	}
	return false
}
