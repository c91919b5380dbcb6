package agent

import "strings"

// windows maps the kernel's version to the name people know. Windows 11 sends
// 10.0 as well and cannot be told apart.
var windows = map[string]string{
	"10.0": "10", "6.4": "10", "6.3": "8.1", "6.2": "8", "6.1": "7", "6.0": "Vista", "5.2": "XP", "5.1": "XP", "5.0": "2000",
}

// system names the operating system and its version.
func system(ua string) (name, version string) {
	switch {
	case has(ua, "Windows Phone"):
		return "Windows Phone", first(versionOf(ua, "Windows Phone OS "), versionOf(ua, "Windows Phone "))
	case has(ua, "Xbox"):
		return "Xbox", ""
	case has(ua, "Windows"):
		return "Windows", windows[versionOf(ua, "Windows NT ")]
	case has(ua, "PlayStation "):
		return "PlayStation", major(versionOf(ua, "PlayStation "))
	case has(ua, "PLAYSTATION "):
		return "PlayStation", major(versionOf(ua, "PLAYSTATION "))
	case has(ua, "Nintendo"):
		return "Nintendo", ""
	case has(ua, "AppleTV") || has(ua, "Apple TV"):
		return "tvOS", ""
	case has(ua, "Apple Watch") || has(ua, "Watch OS") || has(ua, "watchOS"):
		return "watchOS", ""
	case has(ua, "iPhone") || has(ua, "iPad") || has(ua, "iPod"):
		return "iOS", first(versionOf(ua, "iPhone OS "), versionOf(ua, "CPU OS "), versionOf(ua, "iOS "), versionOf(ua, "iOS/"))
	case has(ua, "KAIOS/"):
		return "KaiOS", versionOf(ua, "KAIOS/")
	case has(ua, "CrOS "):
		return "Chrome OS", chromeOS(ua)
	case has(ua, "Tizen"):
		return "Tizen", first(versionOf(ua, "Tizen "), versionOf(ua, "Tizen/"))
	case has(ua, "Web0S") || has(ua, "webOS") || has(ua, "hpwOS"):
		return "webOS", ""
	case has(ua, "Roku"):
		return "Roku OS", ""
	case has(ua, "HarmonyOS") || has(ua, "OpenHarmony"):
		return "HarmonyOS", first(versionOf(ua, "OpenHarmony "), versionOf(ua, "HarmonyOS "))
	case has(ua, "Android"):
		return "Android", first(versionOf(ua, "Android "), versionOf(ua, "Android/"))
	case has(ua, "BlackBerry") || has(ua, "BB10") || has(ua, "PlayBook"):
		return "BlackBerry OS", ""
	case has(ua, "Symbian") || has(ua, "SymbOS"):
		return "Symbian OS", ""
	case has(ua, "Macintosh") || has(ua, "Mac OS X") || has(ua, "Mac_PowerPC"):
		return "Mac", versionOf(ua, "Mac OS X ")
	case has(ua, "FreeBSD"):
		return "FreeBSD", ""
	case has(ua, "OpenBSD"):
		return "OpenBSD", ""
	case has(ua, "NetBSD"):
		return "NetBSD", ""
	case has(ua, "SunOS"):
		return "Solaris", ""
	case has(ua, "Linux") || has(ua, "X11") || has(ua, "Ubuntu"):
		return "GNU/Linux", ""
	}
	return "", ""
}

// chromeOS reads the version behind the processor: "CrOS x86_64 14541.0.0".
func chromeOS(ua string) string {
	i := word(ua, "CrOS ")
	rest := ua[i:]
	if end := strings.IndexAny(rest, ";)"); end >= 0 {
		rest = rest[:end]
	}
	if space := strings.IndexByte(rest, ' '); space >= 0 {
		return versionAt(rest, space+1)
	}
	return ""
}

func major(version string) string {
	head, _, _ := strings.Cut(version, ".")
	return head
}

// screens are the words of televisions and of the sticks behind them.
var screens = []string{
	"SMART-TV", "SmartTV", "Smart TV", "Smart-TV", "SMARTTV", "AndroidTV", "Android TV", "GoogleTV", "Google TV", "HbbTV", "BRAVIA", "CrKey", "AFT",
	"TV Safari", "NetCast", "AQUOS", "MiTV", "MIBOX", "SHIELD Android TV", "Chromecast", "DTV",
}

// device tells the kind of device. os and browser are what was found before.
func device(ua, os, browser string) string {
	switch os {
	case "Windows", "Mac", "GNU/Linux", "Chrome OS", "FreeBSD", "OpenBSD", "NetBSD", "Solaris",
		"Xbox", "PlayStation", "Nintendo", "tvOS", "webOS", "Roku OS":
		return Desktop
	case "iOS":
		if has(ua, "iPad") {
			return Tablet
		}
		return Mobile
	case "Windows Phone", "KaiOS", "Symbian OS", "watchOS":
		return Mobile
	case "BlackBerry OS":
		if has(ua, "PlayBook") {
			return Tablet
		}
		return Mobile
	case "Android", "HarmonyOS", "Tizen":
		for _, tv := range screens {
			if has(ua, tv) {
				return Desktop
			}
		}
		switch {
		case has(ua, "Tablet"):
			return Tablet
		case has(ua, "Mobile") || has(ua, "Phone"):
			return Mobile
		case browser == "Opera Mini" || !strings.Contains(ua, "Mozilla/"):
			return Mobile // an app speaking for itself says nothing of the screen
		}
		return Tablet
	}
	switch {
	case has(ua, "Tablet"):
		return Tablet
	case has(ua, "Mobile") || browser == "Opera Mini" || has(ua, "MIDP"):
		return Mobile
	}
	return ""
}
