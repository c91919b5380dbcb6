package enrich

// ScreenClass puts a viewport's width, in CSS pixels, into a class: XS below
// 576, SM below 992, MD below 1440, LG below 1920, XL from there on; "" for
// widths that cannot be (0 and less).
func ScreenClass(width int) string {
	switch {
	case width <= 0:
		return ""
	case width < 576:
		return "XS"
	case width < 992:
		return "SM"
	case width < 1440:
		return "MD"
	case width < 1920:
		return "LG"
	}
	return "XL"
}
