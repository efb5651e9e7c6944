import io.grpc.Status;
import java.util.Arrays;
import java.util.TreeMap;

/** What this program itself knows of the calls that ended: see tests/peers/README.md, "The account". */
final class Account {
    /** Upper bounds in seconds; the last bucket has none. */
    private static final double[] BOUNDS = {.0005, .001, .0025, .005, .01, .025, .05, .075, .1, .25, .5, .75, 1, 2.5, 5, 7.5, 10, 30, 60, 300};

    /** Durations kept for the percentiles of one line; later calls are counted, and in its buckets. */
    private static final int MAX_KEPT = 1 << 20;

    private final String role;
    private final TreeMap<String, Line> lines = new TreeMap<>();

    private static final class Line {
        long count;
        double sum;
        long[] buckets = new long[BOUNDS.length + 1];
        double[] kept = new double[16];
    }

    Account(String role) {
        this.role = role;
    }

    synchronized void add(String method, Status.Code status, long nanoseconds) {
        double seconds = nanoseconds / 1e9;
        Line line = lines.computeIfAbsent(method + "\t" + status, unused -> new Line());
        if (line.count < MAX_KEPT) {
            if (line.count == line.kept.length) {
                line.kept = Arrays.copyOf(line.kept, line.kept.length * 2);
            }
            line.kept[(int) line.count] = seconds;
        }
        line.count++;
        line.sum += seconds;
        int bucket = Arrays.binarySearch(BOUNDS, seconds);
        line.buckets[bucket < 0 ? -bucket - 1 : bucket]++;
    }

    /** All calls so far, sorted, and `end` behind them. */
    synchronized void print() {
        StringBuilder out = new StringBuilder();
        lines.forEach((methodAndStatus, line) -> {
            out.append(String.format("truth\t%s\t%s\t%d\t%.9f", role, methodAndStatus, line.count, line.sum));
            for (long n : line.buckets) {
                out.append('\t').append(n);
            }
            double[] sorted = Arrays.copyOf(line.kept, (int) Math.min(line.count, MAX_KEPT));
            Arrays.sort(sorted);
            out.append(String.format("\t%.9f\t%.9f\n", percentile(sorted, .5), percentile(sorted, .99)));
        });
        System.out.print(out.append("end\n"));
        System.out.flush();
    }

    /** By nearest rank. */
    private static double percentile(double[] sorted, double q) {
        return sorted[(int) Math.ceil(q * sorted.length) - 1];
    }
}
