// Command tasks is the program of the benchmark's tasks. They are tasks as any
// user would write them, but for the counting of package steady.
package main
