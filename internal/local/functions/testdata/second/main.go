// Command second is a function that tests build beside the probe.
package main

func main() {}
