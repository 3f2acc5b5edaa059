//go:build engines

package main

import _ "heddle/storage/engine/pebble" // see withEngines
