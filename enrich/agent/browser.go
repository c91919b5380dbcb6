package agent

import "strings"

// inApp are products that show pages inside themselves. Checked before the
// browsers, whose words they all carry as well.
var inApp = []string{
	"FBAN/", "FBAV/", "FB_IAB/", "FBIOS", "Instagram ", "Barcelona ", "musical_ly", "BytedanceWebview", "trill_", "TikTok",
	"Snapchat", "Pinterest", "LinkedInApp", "Twitter for", "TwitterAndroid", "BlueskyApp", "Line/", "MicroMessenger",
	"KAKAOTALK", "NAVER(inapp", "DaumApps", "GSA/", "BingSapphire", "BingWeb", "Flipboard", "AlipayClient", "DingTalk", "baiduboxapp",
	"Weibo", "QQ/", "Zalo", "Viber/", "Telegram-Android", "Teams/", "RedditApp", "Reddit/", "YaApp_", "YandexSearch",
	"Threads ", "Discord/", "Slack/", "Outlook-iOS", "Outlook-Android", "GoogleNews", "AppleNews", "Klarna/", "EdgW/",
}

// product names a browser by the word that gives it away.
type product struct{ marker, name string }

// products in the order in which they are tried: who wears the words of another
// comes before it.
var products = []product{
	{"Edg/", "Microsoft Edge"}, {"EdgA/", "Microsoft Edge"}, {"EdgiOS/", "Microsoft Edge"}, {"Edge/", "Microsoft Edge"},
	{"Opera Mini/", "Opera Mini"}, {"OPX/", "Opera GX"}, {"OPR/", "Opera"}, {"OPT/", "Opera"}, {"OPiOS/", "Opera"},
	{"SamsungBrowser/", "Samsung Browser"},
	{"Vivaldi/", "Vivaldi"},
	{"YaBrowser/", "Yandex Browser"},
	{"DuckDuckGo/", "DuckDuckGo Privacy Browser"}, {"Ddg/", "DuckDuckGo Privacy Browser"},
	{"UCBrowser/", "UC Browser"}, {"UCWEB/", "UC Browser"},
	{"XiaoMi/MiuiBrowser/", "MIUI Browser"}, {"MiuiBrowser/", "MIUI Browser"},
	{"HuaweiBrowser/", "Huawei Browser"}, {"VivoBrowser/", "vivo Browser"}, {"HeyTapBrowser/", "HeyTapBrowser"},
	{"MQQBrowser/", "QQ Browser"}, {"QQBrowser/", "QQ Browser"}, {"Quark/", "Quark"},
	{"MetaSr ", "Sogou Explorer"}, {"SogouMobileBrowser/", "Sogou Explorer"}, {"2345Explorer/", "2345 Browser"},
	{"Whale/", "Whale Browser"}, {"coc_coc_browser/", "Coc Coc"},
	{"Silk/", "Mobile Silk"}, {"OculusBrowser/", "Oculus Browser"}, {"LG Browser/", "LG Browser"},
	{"NintendoBrowser/", "Nintendo Browser"}, {"QtWebEngine/", "QtWebEngine"},
	{"Avast/", "Avast Secure Browser"}, {"AVG/", "AVG Secure Browser"}, {"CCleaner/", "CCleaner"}, {"Norton/", "Norton Private Browser"},
	{"Ecosia ", "Ecosia"}, {"EcosiaAndroid/", "Ecosia"}, {"Maxthon/", "Maxthon"}, {"Puffin/", "Puffin"}, {"AlohaBrowser/", "Aloha Browser"}, {"PhoenixBrowser/", "Phoenix Browser"}, {"Sleipnir/", "Sleipnir"},
	{"Iron/", "Iron"}, {"Electron/", "Electron"}, {"Epiphany/", "GNOME Web"}, {"Falkon/", "Falkon"},
	{"Konqueror/", "Konqueror"}, {"Midori/", "Midori"}, {"Orion/", "Orion"},
	{"PaleMoon/", "Pale Moon"}, {"SeaMonkey/", "SeaMonkey"}, {"Waterfox/", "Waterfox"}, {"LibreWolf/", "LibreWolf"},
	{"Basilisk/", "Basilisk"}, {"K-Meleon/", "K-meleon"}, {"Iceweasel/", "Iceweasel"}, {"Camino/", "Camino"},
	{"Focus/", "Firefox Focus"}, {"Klar/", "Firefox Focus"},
	{"FxiOS/", "Firefox"}, {"Firefox/", "Firefox"},
	{"Ubuntu Chromium/", "Chromium"}, {"Chromium/", "Chromium"},
	{"CriOS/", "Chrome"}, {"CrMo/", "Chrome"},
	{"HeadlessChrome/", "Headless Chrome"},
}

// browser names the browser and its version. os is what system found.
func browser(ua, os string) (name, version string) {
	if app(ua, os) {
		return MobileApp, ""
	}
	for _, p := range products {
		if i := word(ua, p.marker); i >= 0 {
			if p.name == "DuckDuckGo Privacy Browser" || p.name == "Ecosia" {
				if v := versionOf(ua, "Version/"); os == "iOS" && v != "" {
					return p.name, v
				}
			}
			return p.name, versionAt(ua, i)
		}
	}
	switch {
	case webView(ua, os):
		return MobileApp, ""
	case has(ua, "IEMobile/"):
		return "IE Mobile", versionOf(ua, "IEMobile/")
	case has(ua, "Opera/") || has(ua, "Opera "):
		return "Opera", first(versionOf(ua, "Version/"), versionOf(ua, "Opera/"), versionOf(ua, "Opera "))
	case has(ua, "Trident/7"):
		return "Internet Explorer", first(versionOf(ua, "rv:"), "11.0")
	case has(ua, "MSIE "):
		return "Internet Explorer", versionOf(ua, "MSIE ")
	case has(ua, "Chrome/"):
		return "Chrome", versionOf(ua, "Chrome/")
	case os == "Tizen":
		return "Tizen Browser", versionOf(ua, "Version/")
	case os == "Android" && has(ua, "Version/"):
		return "Android Browser", versionOf(ua, "Version/")
	case has(ua, "Safari/") && (apple(os) || has(ua, "Version/")):
		return "Safari", versionOf(ua, "Version/")
	}
	return "", ""
}

// app tells whether a page is shown inside an app that names itself.
func app(ua, os string) bool {
	switch os {
	case "Android", "iOS", "HarmonyOS", "":
		for _, app := range inApp {
			if has(ua, app) {
				return true
			}
		}
	}
	return false
}

// webView tells whether a page is shown inside an app that does not: by the mark
// of Android's web view, or because an iPhone's web view leaves out the word
// Safari that every browser there carries.
func webView(ua, os string) bool {
	switch os {
	case "Android", "HarmonyOS":
		return strings.Contains(ua, "; wv)")
	case "iOS":
		return strings.Contains(ua, "AppleWebKit/") && !strings.Contains(ua, "Safari/")
	}
	return false
}

func apple(os string) bool {
	return os == "Mac" || os == "iOS" || os == "tvOS" || os == "watchOS"
}

func first(versions ...string) string {
	for _, v := range versions {
		if v != "" {
			return v
		}
	}
	return ""
}
