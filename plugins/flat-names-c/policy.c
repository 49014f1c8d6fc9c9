/* Flat names in C: SERVICE-NAMESPACE.DOMAIN, and SERVICE-NAMESPACE-REGION.DOMAIN for every region, so that one wildcard
 * certificate covers all of them. See README.md.
 *
 * No library and no generated bindings: the structures below are those of wit/v0.1.0/policy.wit as the canonical ABI
 * lays them out in a 32-bit memory, which is how C lays them out too. */

#include <stddef.h>
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(name)))

/* ---- The interface ---- */

typedef struct { const char *at; uint32_t length; } string;
typedef struct { void *at; uint32_t length; } list;
typedef struct { uint8_t some; string value; } option_string;
typedef struct { uint8_t some; uint32_t value; } option_u32;

typedef struct {
    string service, name_space, federation, domain;
    option_string external_name, dns_prefix;
    option_u32 record_ttl;
    list annotations;
} subject;

/* Names of regions and zones, one per line. */
typedef struct { string regions, zones; list zone_regions; } places;

/* More than 16 values are handed over in memory, one after the other. */
typedef struct { subject about; places where; } question;

enum { EVERYWHERE, REGION, ZONE };
enum { NOTHING, ALIAS_OF, ALWAYS_ALIAS_OF };
typedef struct { uint8_t kind; uint32_t index; } variant;

typedef struct { string fqdn; variant place, fallback; } name;
typedef struct { string field, message; } refusal;
typedef struct { uint8_t failed; union { list names; refusal refused; } as; } result_names;

enum { NAMING, SELECTION, TTL };
typedef struct {
    uint8_t addresses, cluster_names;
    list cluster_labels, annotations;
    uint8_t fqdns, ready_endpoints, state_age;
} needs;
typedef struct { string name, version; list aspects; needs needs; option_string config_schema; } description;
typedef struct { uint8_t failed; string message; } result_unit;

_Static_assert(sizeof(subject) == 72 && sizeof(places) == 24 && sizeof(name) == 24, "not the layout of the interface");
_Static_assert(sizeof(result_names) == 20 && sizeof(description) == 60, "not the layout of the interface");

#define TEXT(text) { (text), sizeof(text) - 1 }

/* ---- Memory: handed out from front to back and never taken back, an instance lives for one decision ---- */

extern uint8_t __heap_base;
static uintptr_t next;

static void *allocate(uint32_t size, uint32_t align) {
    if (!next) next = (uintptr_t)&__heap_base;
    uintptr_t start = (next + align - 1) & ~(uintptr_t)(align - 1);
    uintptr_t stop = start + size;
    uintptr_t end = __builtin_wasm_memory_size(0) << 16;
    if (stop < start) __builtin_trap();
    if (stop > end && __builtin_wasm_memory_grow(0, (stop - end + 0xffff) >> 16) == (size_t)-1) __builtin_trap();
    next = stop;
    return (void *)start;
}

/* The host asks for memory for what it hands over; it never changes its mind. */
EXPORT("cabi_realloc")
void *cabi_realloc(void *old, uint32_t old_size, uint32_t align, uint32_t size) {
    uint8_t *to = allocate(size, align);
    for (uint32_t i = 0; i < old_size && i < size; i++) to[i] = ((uint8_t *)old)[i];
    return to;
}

/* ---- The policy ---- */

static char *append(char *to, string text) {
    for (uint32_t i = 0; i < text.length; i++) *to++ = text.at[i];
    return to;
}

/* FIRST-NAMESPACE[-REGION].DOMAIN */
static string flat(const subject *about, string first, string region) {
    uint32_t longest = first.length + about->name_space.length + region.length + about->domain.length + 3;
    char *start = allocate(longest, 1), *to = append(start, first);
    *to++ = '-';
    to = append(to, about->name_space);
    if (region.length) {
        *to++ = '-';
        to = append(to, region);
    }
    *to++ = '.';
    to = append(to, about->domain);
    return (string){ start, (uint32_t)(to - start) };
}

EXPORT("mcsdns:policy/naming@0.1.0#names")
result_names *names(const question *asked) {
    const subject *about = &asked->about;
    string regions = asked->where.regions, none = { 0 };
    string first = about->external_name.some ? about->external_name.value : about->service;

    uint32_t most = 3;
    for (uint32_t i = 0; i < regions.length; i++) most += regions.at[i] == '\n';
    name *all = allocate(most * sizeof(name), _Alignof(name));
    uint32_t count = 0;

    all[count++] = (name){ flat(about, first, none), { EVERYWHERE, 0 }, { NOTHING, 0 } };
    for (uint32_t at = 0, index = 0; at < regions.length; index++) {
        string region = { regions.at + at, 0 };
        while (at < regions.length && regions.at[at] != '\n') at++, region.length++;
        at++;
        all[count++] = (name){ flat(about, first, region), { REGION, index }, { ALIAS_OF, 0 } };
    }
    if (about->dns_prefix.some) {
        string prefix = about->dns_prefix.value;
        char *start = allocate(prefix.length + 1 + about->domain.length, 1), *to = append(start, prefix);
        *to++ = '.';
        to = append(to, about->domain);
        string fqdn = { start, (uint32_t)(to - start) };
        all[count++] = (name){ fqdn, { EVERYWHERE, 0 }, { ALWAYS_ALIAS_OF, 0 } };
    }

    static result_names answer;
    answer = (result_names){ .failed = 0, .as.names = { all, count } };
    return &answer;
}

EXPORT("mcsdns:policy/lifecycle@0.1.0#describe")
description *describe(void) {
    static uint8_t aspects[] = { NAMING };
    static description answer = {
        .name = TEXT("flat-names-c"),
        .version = TEXT("0.1.0"),
        .aspects = { aspects, 1 },
    };
    return &answer;
}

EXPORT("mcsdns:policy/lifecycle@0.1.0#configure")
result_unit *configure(const char *config, uint32_t length) {
    (void)config, (void)length;
    static result_unit answer = { 1, TEXT("flat-names-c takes no configuration") };
    return &answer;
}
