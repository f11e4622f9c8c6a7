/* The limit that lbbench is measured against: balancers in C without an event list.
 *
 * Poisson arrivals, N FIFO pods with one place each, exponential service of mean 1. Every sojourn
 * time is kept; the median and the 99th percentile are selected at the end.
 *
 *   j1 rr|random|p2c|ewma PODS REQUESTS SEED [UTILISATION] [DECAY]
 *
 * rr and random take Lindley's recursion: a pod is the time at which it is free. p2c and ewma
 * retire lazily: the finished requests of a pod are taken off its list when a pick looks at it.
 * DECAY is in mean service times. Prints one JSON object.
 *
 * Published algorithms: Lindley (1952); xoshiro256++ and splitmix64 (Blackman and Vigna, ACM TOMS
 * 47, 2021); the exponential ziggurat with 256 layers (Marsaglia and Tsang, J. Stat. Softw. 5,
 * 2000); reduction to a range by a product (Lemire, ACM TOMACS 29, 2019); quickselect (Hoare,
 * CACM 4, 1961).
 */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LAYERS 256
#define TAIL 7.69711747013104972     /* where the lowest layer ends */
#define AREA 3.949659822581572e-3    /* of each layer */
#define TO_UNIT 0x1p-53
#define NONE (-1)

/* --- draws ------------------------------------------------------------------------------------ */

static uint64_t word[4];
static double edge[LAYERS + 1], height[LAYERS + 1];

static void start_draws(uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += 0x9E3779B97F4A7C15ULL;
        uint64_t z = (seed ^ (seed >> 30)) * 0xBF58476D1CE4E5B9ULL;
        z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
        word[i] = z ^ (z >> 31);
    }
    edge[0] = AREA * exp(TAIL);
    edge[1] = TAIL;
    for (int i = 2; i < LAYERS; i++)
        edge[i] = -log(exp(-edge[i - 1]) + AREA / edge[i - 1]);
    edge[LAYERS] = 0.0;
    for (int i = 0; i <= LAYERS; i++)
        height[i] = exp(-edge[i]);
}

static inline uint64_t rotated(uint64_t x, int by)
{
    return (x << by) | (x >> (64 - by));
}

static inline uint64_t bits(void)
{
    const uint64_t drawn = rotated(word[0] + word[3], 23) + word[0];
    const uint64_t shifted = word[1] << 17;
    word[2] ^= word[0];
    word[3] ^= word[1];
    word[1] ^= word[2];
    word[0] ^= word[3];
    word[2] ^= shifted;
    word[3] = rotated(word[3], 45);
    return drawn;
}

static inline double uniform(void)
{
    return (double)(bits() >> 11) * TO_UNIT;
}

static inline uint32_t below(uint32_t n)
{
    return (uint32_t)(((bits() >> 32) * (uint64_t)n) >> 32);
}

static inline double exponential(void)
{
    for (;;) {
        const uint64_t drawn = bits();
        const int layer = drawn & (LAYERS - 1);
        const double x = (double)(drawn >> 11) * TO_UNIT * edge[layer];
        if (x < edge[layer + 1])
            return x;
        if (layer == 0)
            return TAIL - log(1.0 - uniform());
        if (height[layer] + uniform() * (height[layer + 1] - height[layer]) < exp(-x))
            return x;
    }
}

/* --- pods: Lindley ---------------------------------------------------------------------------- */

enum { ROUND_ROBIN, RANDOM, TWO_CHOICES, EWMA };

static double *sojourn;

static void lindley(int balancer, int pods, long requests, double gap)
{
    double *free_at = calloc(pods, sizeof *free_at), now = 0.0;
    int pod = 0;
    for (long i = 0; i < requests; i++) {
        now += exponential() * gap;
        if (balancer == ROUND_ROBIN)
            pod = pod + 1 == pods ? 0 : pod + 1;
        else
            pod = below(pods);
        const double begin = free_at[pod] > now ? free_at[pod] : now;
        const double end = begin + exponential();
        free_at[pod] = end;
        sojourn[i] = end - now;
    }
    free(free_at);
}

/* --- pods: lazy retirement -------------------------------------------------------------------- */

static double *departure, *score, *updated;
static int32_t *following, *first, *last, *outstanding;

/* Takes what pod `p` has finished by `now` off its list; ewma learns from it. */
static inline void retire(int balancer, int p, double now, double decay)
{
    int32_t i;
    while ((i = first[p]) != NONE && departure[i] <= now) {
        if (balancer == EWMA) {
            const double past = exp(-(departure[i] - updated[p]) / decay);
            score[p] = score[p] * past + sojourn[i] * (1.0 - past);
            updated[p] = departure[i];
        }
        outstanding[p]--;
        first[p] = i == last[p] ? NONE : following[i];
    }
}

static inline void lazy(const int balancer, int pods, long requests, double gap, double decay)
{
    double now = 0.0;
    for (long i = 0; i < requests; i++) {
        now += exponential() * gap;
        const int a = below(pods);
        int b = below(pods - 1);
        b += b >= a;
        retire(balancer, a, now, decay);
        retire(balancer, b, now, decay);
        int pod;
        if (balancer == TWO_CHOICES) {
            pod = outstanding[b] < outstanding[a] ? b : a;
        } else {
            const double of_a = score[a] * exp(-(now - updated[a]) / decay);
            const double of_b = score[b] * exp(-(now - updated[b]) / decay);
            pod = of_b < of_a ? b : a;
        }
        const double begin = first[pod] == NONE ? now : departure[last[pod]];
        const double end = begin + exponential();
        departure[i] = end;
        sojourn[i] = end - now;
        if (first[pod] == NONE)
            first[pod] = i;
        else
            following[last[pod]] = i;
        last[pod] = i;
        outstanding[pod]++;
    }
}

/* --- what is asked of it ---------------------------------------------------------------------- */

static double smallest(double *of, long n, long rank)
{
    long low = 0, high = n - 1;
    while (low < high) {
        const double pivot = of[(low + high) / 2];
        long i = low, j = high;
        while (i <= j) {
            while (of[i] < pivot) i++;
            while (of[j] > pivot) j--;
            if (i <= j) {
                const double swapped = of[i];
                of[i++] = of[j];
                of[j--] = swapped;
            }
        }
        if (rank <= j)
            high = j;
        else if (rank >= i)
            low = i;
        else
            break;
    }
    return of[rank];
}

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec * 1e-9;
}

/* Memory that is there: page faults belong to no balancer. */
static void *touched(size_t bytes)
{
    void *made = malloc(bytes);
    if (!made)
        exit(3);
    memset(made, 0, bytes);
    return made;
}

int main(int n_arguments, char **argument)
{
    static const char *names[] = {"rr", "random", "p2c", "ewma"};
    int balancer = 4;
    for (int i = 0; n_arguments >= 5 && i < 4; i++)
        if (!strcmp(argument[1], names[i]))
            balancer = i;
    if (balancer == 4) {
        fprintf(stderr, "usage: j1 rr|random|p2c|ewma PODS REQUESTS SEED [UTILISATION] [DECAY]\n");
        return 2;
    }
    const int pods = atoi(argument[2]);
    const long requests = atol(argument[3]);
    start_draws(strtoull(argument[4], NULL, 10));
    const double utilisation = n_arguments > 5 ? atof(argument[5]) : 0.8;
    const double decay = n_arguments > 6 ? atof(argument[6]) : 200.0;
    const double gap = 1.0 / (utilisation * pods);
    sojourn = touched(requests * sizeof *sojourn);
    if (balancer == TWO_CHOICES || balancer == EWMA) {
        departure = touched(requests * sizeof *departure);
        following = touched(requests * sizeof *following);
        score = touched(pods * sizeof *score);
        updated = touched(pods * sizeof *updated);
        outstanding = touched(pods * sizeof *outstanding);
        last = touched(pods * sizeof *last);
        first = malloc(pods * sizeof *first);
        for (int p = 0; p < pods; p++)
            first[p] = NONE;
    }
    const double started = seconds();
    if (balancer == TWO_CHOICES)
        lazy(TWO_CHOICES, pods, requests, gap, decay);
    else if (balancer == EWMA)
        lazy(EWMA, pods, requests, gap, decay);
    else
        lindley(balancer, pods, requests, gap);
    const double simulated = seconds();
    double sum = 0.0;
    for (long i = 0; i < requests; i++)
        sum += sojourn[i];
    const double median = smallest(sojourn, requests, requests / 2);
    const double p99 = smallest(sojourn, requests, (long)(requests * 0.99));
    const double ended = seconds();
    printf("{\"balancer\": \"%s\", \"pods\": %d, \"requests\": %ld, \"simulated_s\": %.6f, "
           "\"total_s\": %.6f, \"requests_per_s\": %.0f, \"mean\": %.6f, \"p50\": %.6f, "
           "\"p99\": %.6f}\n",
           argument[1], pods, requests, simulated - started, ended - started,
           requests / (ended - started), sum / requests, median, p99);
    return 0;
}
