/*
 * Every call with structs of every size: those below the first release's and above 4096 are refused,
 * and a larger one is filled as far as the library knows it. See misuse.h.
 *
 * Structs of unusual size lie in blocks of exactly the size that the library may touch, so that
 * valgrind sees one byte too many.
 */
#include "misuse.h"

struct input {
    const char *name;
    int needs;
    size_t first_size;
    size_t size;
    size_t in_args;
    void (*put)(struct args *a, void *block);
};

static void put_request(struct args *a, void *block)
{
    a->request_at = (mfa_request *)block;
}

static void put_wait(struct args *a, void *block)
{
    a->wait_at = (mfa_wait_options *)block;
}

static void put_options(struct args *a, void *block)
{
    a->options_at = (mfa_call_options *)block;
}

static const struct input inputs[] = {
    { "request", REQUEST, FIRST_SIZE_REQUEST, sizeof(mfa_request),
      offsetof(struct args, request), put_request },
    { "wait", WAIT, FIRST_SIZE_WAIT_OPTIONS, sizeof(mfa_wait_options),
      offsetof(struct args, wait), put_wait },
    { "options", EVERY, FIRST_SIZE_CALL_OPTIONS, sizeof(mfa_call_options),
      offsetof(struct args, options), put_options },
};

/* `tail` is the offset of one byte that is not zero; 0: none. */
static void sized_input(const struct call *call, const struct input *input, size_t block,
                        uint32_t told, size_t tail, mfa_code wanted)
{
    struct args a;
    char what[80];
    char *bytes;

    prepare(&a, call, wanted == REACHES_THE_SERVER);
    bytes = (char *)block_of((char *)&a + input->in_args, input->size, block, told);
    if (tail != 0) {
        bytes[tail] = 1;
    }
    input->put(&a, bytes);
    snprintf(what, sizeof what, "%s of size %lu%s", input->name, (unsigned long)told,
             tail != 0 ? ", not zero behind" : "");
    judge(call, &a, what, wanted);
    free(bytes);
}

static void wrong_input_sizes(const struct call *call)
{
    size_t i;

    for (i = 0; i < COUNT(inputs); i++) {
        const struct input *in = &inputs[i];
        size_t first = in->first_size;
        size_t size = in->size;

        if ((call->takes & in->needs) != in->needs) {
            continue;
        }
        sized_input(call, in, 4, 0, 0, MFA_ERR_STRUCT_SIZE);
        sized_input(call, in, 4, 4, 0, MFA_ERR_STRUCT_SIZE);
        sized_input(call, in, first - 1, (uint32_t)first - 1, 0, MFA_ERR_STRUCT_SIZE);
        sized_input(call, in, first, (uint32_t)first, 0, REACHES_THE_SERVER);
        sized_input(call, in, 4, 4097, 0, MFA_ERR_STRUCT_SIZE);
        sized_input(call, in, 4, UINT32_MAX, 0, MFA_ERR_STRUCT_SIZE);
        sized_input(call, in, size + 1, (uint32_t)size + 1, 0, REACHES_THE_SERVER);
        sized_input(call, in, 4096, 4096, 0, REACHES_THE_SERVER);
        sized_input(call, in, size + 1, (uint32_t)size + 1, size, MFA_ERR_INVALID_ARGUMENT);
        sized_input(call, in, 4096, 4096, 4095, MFA_ERR_INVALID_ARGUMENT);
    }
}

static void sized_out(const struct call *call, size_t block, uint32_t told, mfa_code wanted)
{
    struct args a;
    char what[80];
    char *bytes = (char *)malloc(block);
    uint32_t kept;

    need(bytes != NULL, "malloc");
    prepare(&a, call, wanted == REACHES_THE_SERVER);
    memset(bytes, 0x5a, block);
    memcpy(bytes, &told, sizeof told);
    a.out_at = block >= 8 ? bytes : NULL;
    if (block < 8) {
        /* Too small for a decision: nothing but the size may be looked at. */
        mfa_code got;

        a.out_at = bytes;
        got = call->run(&a);
        snprintf(what, sizeof what, "%s: out of size %lu", call->name, (unsigned long)told);
        check(got == wanted && listener_saw_nothing(&nobody), what, "%s", mfa_code_name(got));
        free(bytes);
        return;
    }
    snprintf(what, sizeof what, "out of size %lu", (unsigned long)told);
    judge(call, &a, what, wanted);
    memcpy(&kept, bytes, sizeof kept);
    snprintf(what, sizeof what, "%s: out of size %lu keeps its size and tail", call->name,
             (unsigned long)told);
    if (wanted == MFA_ERR_STRUCT_SIZE) {
        check(kept == told && all_bytes_are(bytes + 8, block - 8, 0x5a), what, "it does not");
    } else {
        check(kept == told && all_bytes_are(bytes + call->out_size, block - call->out_size, 0x5a),
              what, "it does not");
    }
    free(bytes);
}

static void wrong_out_sizes(const struct call *call)
{
    size_t first = call->out_first_size;
    size_t size = call->out_size;

    if (!(call->takes & OUT_STRUCT)) {
        return;
    }
    sized_out(call, 4, 0, MFA_ERR_STRUCT_SIZE);
    sized_out(call, 4, 4, MFA_ERR_STRUCT_SIZE);
    sized_out(call, 4, 7, MFA_ERR_STRUCT_SIZE);
    if (first > 8) {
        sized_out(call, 8, 8, MFA_ERR_STRUCT_SIZE);
        sized_out(call, first - 1, (uint32_t)first - 1, MFA_ERR_STRUCT_SIZE);
    }
    sized_out(call, 8, 4097, MFA_ERR_STRUCT_SIZE);
    sized_out(call, 8, UINT32_MAX, MFA_ERR_STRUCT_SIZE);
    sized_out(call, size + 1, (uint32_t)size + 1, REACHES_THE_SERVER);
    sized_out(call, 4096, 4096, REACHES_THE_SERVER);
}

/* A bad err is left as it is, and the call refused, though nothing else is wrong. */
static void sized_err(const struct call *call, size_t block, uint32_t told)
{
    struct args a;
    char name[80];
    char *bytes = (char *)malloc(block);
    mfa_code got;
    int untouched;

    need(bytes != NULL, "malloc");
    prepare(&a, call, 0);
    memset(bytes, 0x5a, block);
    memcpy(bytes, &told, sizeof told);
    a.err_at = (mfa_error *)bytes;
    got = call->run(&a);
    untouched = memcmp(bytes, &told, 4) == 0 && all_bytes_are(bytes + 4, block - 4, 0x5a);
    snprintf(name, sizeof name, "%s: err of size %lu", call->name, (unsigned long)told);
    check(got == MFA_ERR_STRUCT_SIZE && untouched && out_decides_nothing(call, &a) &&
              listener_saw_nothing(&nobody),
          name, "%s%s", mfa_code_name(got), untouched ? "" : "; it was written to");
    free(bytes);
}

static void larger_err(const struct call *call)
{
    struct args a;
    char name[80];
    char *bytes = (char *)malloc(4096);
    uint32_t told = 4096;
    mfa_code got;

    need(bytes != NULL, "malloc");
    prepare(&a, call, 0);
    memset(bytes, 0x5a, 4096);
    memcpy(bytes, &told, sizeof told);
    a.err_at = (mfa_error *)bytes;
    a.token = "";
    got = call->run(&a);
    snprintf(name, sizeof name, "%s: err of size 4096", call->name);
    check(got == ARGUMENT && ((mfa_error *)bytes)->code == ARGUMENT &&
              all_bytes_are(bytes + sizeof(mfa_error), 4096 - sizeof(mfa_error), 0x5a),
          name, "%s, or the tail was written to", mfa_code_name(got));
    free(bytes);
}

/* Each field is written, also one that a later release has appended. */
static void written_err(const struct call *call)
{
    struct args a;
    char name[80];
    const char *bytes = (const char *)&a.err;
    mfa_code got;

    prepare(&a, call, 0);
    memset(&a.err, 0x5a, sizeof a.err);
    a.err.struct_size = sizeof a.err;
    a.token = "";
    got = call->run(&a);
    snprintf(name, sizeof name, "%s: err is written to its end", call->name);
    check(got == ARGUMENT && memchr(bytes + 4, 0x5a, sizeof a.err - 4) == NULL, name,
          "%s, or a byte is what it was before", mfa_code_name(got));
}

static void wrong_err_sizes(const struct call *call)
{
    written_err(call);
    sized_err(call, 4, 0);
    sized_err(call, FIRST_SIZE_ERROR - 1, FIRST_SIZE_ERROR - 1);
    sized_err(call, 4, 4097);
    sized_err(call, 4, UINT32_MAX);
    larger_err(call);
}

int main(void)
{
    size_t i;

    set_up();
    for (i = 0; i < COUNT(calls); i++) {
        wrong_input_sizes(&calls[i]);
        wrong_out_sizes(&calls[i]);
        wrong_err_sizes(&calls[i]);
    }
    tear_down();
    return check_finish();
}
