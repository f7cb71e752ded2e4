import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ProtocolFamily;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketAddress;
import java.net.SocketOption;
import java.nio.channels.DatagramChannel;
import java.nio.channels.Pipe;
import java.nio.channels.ServerSocketChannel;
import java.nio.channels.SocketChannel;
import java.nio.channels.spi.AbstractSelector;
import java.nio.channels.spi.SelectorProvider;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.security.MessageDigest;
import java.util.Set;

/**
 * Makes the listening channel of this JVM listen on 127.0.0.1, on a port that the system chooses, whatever
 * address it asks for. The port is written into the file that the system property loopback.port names.
 *
 * <p>DynamoDB Local binds all interfaces and one given port, and has no option for anything else; a port that was
 * free when it was chosen may be another program's by then. The JDK lets an operator choose the provider of its
 * channels with the system property java.nio.channels.spi.SelectorProvider; this one hands everything to the
 * JDK's own provider and changes nothing but the address of bind, and what accept lets in.
 *
 * <p>DynamoDB Local takes whatever Host a request has, so a page in a browser that finds the port could read the tables
 * (DNS rebinding). Only connections that begin with the environment variable LOOPBACK_SECRET are let in: those of the
 * program that started this JVM.
 */
public final class LoopbackSelectorProvider extends SelectorProvider {
    private final SelectorProvider system;

    public LoopbackSelectorProvider() throws ReflectiveOperationException {
        // The JDK's default for this operating system; needs --add-exports java.base/sun.nio.ch=ALL-UNNAMED.
        system = (SelectorProvider) Class.forName("sun.nio.ch.DefaultSelectorProvider").getMethod("get").invoke(null);
    }

    @Override
    public ServerSocketChannel openServerSocketChannel() throws IOException {
        return new LoopbackChannel(this, system.openServerSocketChannel());
    }

    @Override
    public DatagramChannel openDatagramChannel() throws IOException {
        return system.openDatagramChannel();
    }

    @Override
    public DatagramChannel openDatagramChannel(ProtocolFamily family) throws IOException {
        return system.openDatagramChannel(family);
    }

    @Override
    public Pipe openPipe() throws IOException {
        return system.openPipe();
    }

    @Override
    public AbstractSelector openSelector() throws IOException {
        return system.openSelector();
    }

    @Override
    public SocketChannel openSocketChannel() throws IOException {
        return system.openSocketChannel();
    }

    /** A listening channel that is bound to loopback. It accepts in blocking mode, as Jetty's acceptors do. */
    private static final class LoopbackChannel extends ServerSocketChannel {
        private final ServerSocketChannel channel;

        LoopbackChannel(SelectorProvider provider, ServerSocketChannel channel) {
            super(provider);
            this.channel = channel;
        }

        @Override
        public ServerSocketChannel bind(SocketAddress address, int backlog) throws IOException {
            channel.bind(new InetSocketAddress(InetAddress.getByAddress(new byte[] {127, 0, 0, 1}), 0), backlog);
            announce(((InetSocketAddress) channel.getLocalAddress()).getPort());
            return this;
        }

        /** Whoever finds the file finds the whole number in it. */
        private static void announce(int port) throws IOException {
            Path file = Path.of(System.getProperty("loopback.port"));
            Path written = Files.writeString(file.resolveSibling(file.getFileName() + ".new"), Integer.toString(port));
            Files.move(written, file, StandardCopyOption.ATOMIC_MOVE);
        }

        @Override
        public <T> ServerSocketChannel setOption(SocketOption<T> name, T value) throws IOException {
            channel.setOption(name, value);
            return this;
        }

        @Override
        public <T> T getOption(SocketOption<T> name) throws IOException {
            return channel.getOption(name);
        }

        @Override
        public Set<SocketOption<?>> supportedOptions() {
            return channel.supportedOptions();
        }

        @Override
        public ServerSocket socket() {
            return channel.socket();
        }

        @Override
        public SocketChannel accept() throws IOException {
            while (true) {
                SocketChannel accepted = channel.accept();
                if (knowsSecret(accepted.socket())) {
                    return accepted;
                }
                accepted.close();
            }
        }

        private static final byte[] SECRET = System.getenv("LOOPBACK_SECRET").getBytes(StandardCharsets.US_ASCII);

        /** Others wait meanwhile, so a connection that says nothing is not waited for long. */
        private static final int PATIENCE_MILLIS = 5000;

        private static boolean knowsSecret(Socket accepted) {
            try {
                accepted.setSoTimeout(PATIENCE_MILLIS);
                byte[] said = accepted.getInputStream().readNBytes(SECRET.length);
                accepted.setSoTimeout(0);
                return MessageDigest.isEqual(said, SECRET);
            } catch (IOException e) {
                return false; // it said too little, or is gone
            }
        }

        @Override
        public SocketAddress getLocalAddress() throws IOException {
            return channel.getLocalAddress();
        }

        @Override
        protected void implCloseSelectableChannel() throws IOException {
            channel.close();
        }

        @Override
        protected void implConfigureBlocking(boolean blocking) throws IOException {
            channel.configureBlocking(blocking);
        }
    }
}
