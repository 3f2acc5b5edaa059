package storage

// assign sets what v points to, if it is of the very type of kept.
func assign(kept, v any) bool {
	switch k := kept.(type) {
	case int64:
		switch p := v.(type) {
		case *int64:
			*p = k
			return true
		case *int:
			if int64(int(k)) == k {
				*p = int(k)
				return true
			}
		}
	case int32:
		if p, ok := v.(*int32); ok {
			*p = k
			return true
		}
	case string:
		if p, ok := v.(*string); ok {
			*p = k
			return true
		}
	case float64:
		if p, ok := v.(*float64); ok {
			*p = k
			return true
		}
	case bool:
		if p, ok := v.(*bool); ok {
			*p = k
			return true
		}
	}
	if p, ok := v.(*any); ok && p != nil {
		*p = kept
		return true
	}
	return false
}
