// Package architecture holds which package of this module may import which, and the test that
// keeps it so. The table is the one of the design: an order of layers, from what users write
// against down to the commands.
//
// It looks at the imports of all source files that are not tests, whatever their build tags. It
// says nothing about modules of others.
package architecture
