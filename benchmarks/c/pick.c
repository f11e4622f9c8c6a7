/* What a hash pick costs in C: nanoseconds per key of 12 bytes (two IPv4 addresses, two ports).
 *
 *   pick [ROUNDS]
 *
 * Prints one JSON object per picker and number of nodes, with the median and the least of ROUNDS
 * (5 unless given) passes over 65 536 random keys, each pass repeated.
 *
 * toeplitz        Toeplitz hash of a key, one table per byte (Microsoft, "Verifying the RSS Hash
 *                 Calculation"; the public verification key)
 * ring            crc32 by eight tables (Intel's slicing-by-8; the polynomial of zlib), then a
 *                 binary search in a ring of 160 points per node (ketama)
 * maglev          crc32 modulo the size of a look-up table (Eisenbud et al., NSDI 2016)
 * jump            jump consistent hash (Lamping and Veach, arXiv:1406.2294)
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEYS 65536
#define KEY_BYTES 12
#define REPEATS 16
#define POINTS 160
#define MOST_ROUNDS 99

typedef struct {
    uint32_t hash, node;
} Point;

static uint8_t keys[KEYS][KEY_BYTES];
static uint32_t crc_table[8][256], toeplitz_table[KEY_BYTES][256];
static Point *ring;
static uint32_t *maglev, maglev_size;
static int nodes, points;

static const uint8_t rss_key[] = {0x6D, 0x5A, 0x56, 0xDA, 0x25, 0x5B, 0x0E, 0xC2, 0x41, 0x67,
                                  0x25, 0x3D, 0x43, 0xA3, 0x8F, 0xB0, 0xD0, 0xCA, 0x2B, 0xCB};

/* --- tables ----------------------------------------------------------------------------------- */

static uint64_t splitmix(void)
{
    static uint64_t state = 1;
    uint64_t z = state += 0x9E3779B97F4A7C15ULL;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
}

static uint32_t key_window(int bit)
{
    uint32_t window = 0;
    for (int i = bit; i < bit + 32; i++)
        window = window << 1 | (rss_key[i / 8] >> (7 - i % 8) & 1);
    return window;
}

static void fill_tables(void)
{
    for (int value = 0; value < 256; value++) {
        uint32_t crc = value;
        for (int bit = 0; bit < 8; bit++)
            crc = crc & 1 ? crc >> 1 ^ 0xEDB88320U : crc >> 1;
        crc_table[0][value] = crc;
    }
    for (int slice = 1; slice < 8; slice++)
        for (int value = 0; value < 256; value++) {
            const uint32_t before = crc_table[slice - 1][value];
            crc_table[slice][value] = crc_table[0][before & 255] ^ before >> 8;
        }
    for (int place = 0; place < KEY_BYTES; place++)
        for (int value = 0; value < 256; value++)
            for (int bit = 0; bit < 8; bit++)
                if (value >> (7 - bit) & 1)
                    toeplitz_table[place][value] ^= key_window(8 * place + bit);
    for (int i = 0; i < KEYS; i++)
        for (int place = 0; place < KEY_BYTES; place++)
            keys[i][place] = splitmix() >> 56;
}

static int by_hash(const void *a, const void *b)
{
    const uint32_t x = ((const Point *)a)->hash, y = ((const Point *)b)->hash;
    return (x > y) - (x < y);
}

static void fill_ring(void)
{
    points = nodes * POINTS;
    ring = malloc(points * sizeof *ring);
    for (int i = 0; i < points; i++)
        ring[i] = (Point){splitmix() >> 32, i / POINTS};
    qsort(ring, points, sizeof *ring, by_hash);
}

static void fill_maglev(void)
{
    maglev_size = nodes <= 256 ? 65537 : 655373; /* the small and the large table of the paper */
    maglev = malloc(maglev_size * sizeof *maglev);
    memset(maglev, 0xFF, maglev_size * sizeof *maglev);
    uint32_t *at = malloc(nodes * sizeof *at), *skip = malloc(nodes * sizeof *skip);
    for (int i = 0; i < nodes; i++) {
        at[i] = splitmix() % maglev_size;
        skip[i] = 1 + splitmix() % (maglev_size - 1);
    }
    for (uint32_t filled = 0; filled < maglev_size; filled++) {
        const int node = filled % nodes;
        while (maglev[at[node]] != UINT32_MAX)
            at[node] = ((uint64_t)at[node] + skip[node]) % maglev_size;
        maglev[at[node]] = node;
    }
    free(at);
    free(skip);
}

/* --- picks ------------------------------------------------------------------------------------ */

static inline uint32_t crc32(const uint8_t *key)
{
    uint32_t low, high;
    memcpy(&low, key, 4);
    memcpy(&high, key + 4, 4);
    low = ~low;
    uint32_t crc = crc_table[7][low & 255] ^ crc_table[6][low >> 8 & 255] ^
                   crc_table[5][low >> 16 & 255] ^ crc_table[4][low >> 24] ^
                   crc_table[3][high & 255] ^ crc_table[2][high >> 8 & 255] ^
                   crc_table[1][high >> 16 & 255] ^ crc_table[0][high >> 24];
    for (int i = 8; i < KEY_BYTES; i++)
        crc = crc_table[0][(crc ^ key[i]) & 255] ^ crc >> 8;
    return ~crc;
}

static inline uint32_t pick_toeplitz(const uint8_t *key)
{
    uint32_t hash = 0;
    for (int i = 0; i < KEY_BYTES; i++)
        hash ^= toeplitz_table[i][key[i]];
    return hash;
}

static inline uint32_t pick_ring(const uint8_t *key)
{
    const uint32_t hash = crc32(key);
    int low = 0, n = points;
    while (n > 1) {
        const int half = n / 2;
        low += ring[low + half - 1].hash < hash ? half : 0;
        n -= half;
    }
    if (ring[low].hash < hash)
        low = low + 1 == points ? 0 : low + 1;
    return ring[low].node;
}

static inline uint32_t pick_maglev(const uint8_t *key)
{
    return maglev[crc32(key) % maglev_size];
}

static inline uint32_t pick_jump(const uint8_t *key)
{
    uint64_t state;
    int64_t chosen = -1, next = 0;
    memcpy(&state, key, 8);
    while (next < nodes) {
        chosen = next;
        state = state * 2862933555777941757ULL + 1;
        next = (chosen + 1) * ((double)(1LL << 31) / ((state >> 33) + 1));
    }
    return chosen;
}

/* --- timing ----------------------------------------------------------------------------------- */

static double nanoseconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1e9 + now.tv_nsec;
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static volatile uint64_t sink;

static void report(const char *picker, int of, double *took, int rounds)
{
    qsort(took, rounds, sizeof *took, by_value);
    printf("{\"picker\": \"%s\", \"nodes\": %d, \"ns\": %.3f, \"least_ns\": %.3f}\n", picker, of,
           took[rounds / 2], took[0]);
}

#define MEASURE(picker, of)                                                                        \
    do {                                                                                           \
        double took[MOST_ROUNDS];                                                                  \
        for (int round = -1; round < rounds; round++) { /* the first one fills the caches */       \
            uint64_t sum = 0;                                                                      \
            const double started = nanoseconds();                                                  \
            for (int repeat = 0; repeat < REPEATS; repeat++)                                       \
                for (int i = 0; i < KEYS; i++)                                                     \
                    sum += pick_##picker(keys[i]);                                                 \
            sink = sum;                                                                            \
            if (round >= 0)                                                                        \
                took[round] = (nanoseconds() - started) / ((double)REPEATS * KEYS);                \
        }                                                                                          \
        report(#picker, of, took, rounds);                                                         \
    } while (0)

int main(int n_arguments, char **argument)
{
    const int asked = n_arguments > 1 ? atoi(argument[1]) : 5;
    const int rounds = asked < 1 ? 1 : asked > MOST_ROUNDS ? MOST_ROUNDS : asked;
    static const int sizes[] = {16, 256, 4096};
    fill_tables();
    MEASURE(toeplitz, 1);
    for (int i = 0; i < 3; i++) {
        nodes = sizes[i];
        fill_ring();
        fill_maglev();
        MEASURE(ring, nodes);
        MEASURE(maglev, nodes);
        MEASURE(jump, nodes);
        free(ring);
        free(maglev);
    }
    return 0;
}
