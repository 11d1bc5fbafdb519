// Package hornwork holds the tests that look at the whole module: who imports whom, and what stays in its place.
// The program is cmd/hornwork.
package hornwork
