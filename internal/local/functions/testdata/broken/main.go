package main

func main() {
	// This does not compile, on purpose.
	undefinedName()
}
