/* libmfa, with a cancel object in every call: it is then watched while the answer is waited for. */
#define BENCH_WITH_CANCEL
#include "subject_mfa.c"
