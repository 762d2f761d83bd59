/*
 * What is answered without a client, asked wrongly: a control code, and whether the person approved.
 */
#include "check.h"

static void control_codes(void)
{
    mfa_error err = MFA_ERROR_INIT;
    char out[4] = "abc";
    int i;
    int good = 1;

    check_code("mfa_control_code: NULL", mfa_control_code(NULL, 3, &err), MFA_ERR_NULL_POINTER, &err);
    check_code("mfa_control_code: NULL of size 0", mfa_control_code(NULL, 0, &err),
               MFA_ERR_NULL_POINTER, &err);
    check_code("mfa_control_code: size 0", mfa_control_code(out, 0, &err), MFA_ERR_INVALID_ARGUMENT,
               &err);
    check(strcmp(out, "abc") == 0, "mfa_control_code: size 0 is not written to", "it is \"%s\"", out);
    check_code("mfa_control_code: size 2", mfa_control_code(out, 2, &err), MFA_ERR_INVALID_ARGUMENT,
               &err);
    check(out[0] == 0, "mfa_control_code: size 2 is made empty", "it is \"%s\"", out);
    err.struct_size = 1;
    check_int("mfa_control_code: err of size 1", mfa_control_code(out, 3, &err), MFA_ERR_STRUCT_SIZE);
    check_int("mfa_control_code: err NULL", mfa_control_code(out, 3, NULL), MFA_OK);
    memset(&err, 0x5a, sizeof err);
    err.struct_size = sizeof err;
    check(mfa_control_code(out, 3, &err) == MFA_OK &&
              all_bytes_are((const char *)&err + 4, sizeof err - 4, 0),
          "mfa_control_code: err is reset to its end", "it failed, or a byte is not 0");
    for (i = 0; i < 500; i++) {
        memset(out, 'x', sizeof out);
        good = good && mfa_control_code(out, 3, NULL) == MFA_OK && strlen(out) == 2 &&
               out[0] >= '0' && out[0] <= '9' && out[1] >= '0' && out[1] <= '9' && out[3] == 'x';
    }
    check(good, "mfa_control_code: two digits each time", "it was \"%s\"", out);
}

static void approvals(void)
{
    mfa_transaction yes = MFA_TRANSACTION_INIT;
    mfa_code code;
    int32_t decision;
    int granted = 0;

    yes.decision = MFA_DECISION_APPROVED;
    check_int("mfa_is_approved: OK and approved", mfa_is_approved(MFA_OK, &yes), 1);
    check_int("mfa_is_approved: NULL", mfa_is_approved(MFA_OK, NULL), 0);
    for (code = -3; code < 1100; code++) {
        granted += code != MFA_OK && mfa_is_approved(code, &yes) != 0;
    }
    check_int("mfa_is_approved: codes other than OK", granted, 0);
    for (decision = -3; decision < 300; decision++) {
        yes.decision = decision;
        granted += decision != MFA_DECISION_APPROVED && mfa_is_approved(MFA_OK, &yes) != 0;
    }
    yes.decision = 0x01000000;
    granted += mfa_is_approved(MFA_OK, &yes) != 0;
    check_int("mfa_is_approved: decisions other than APPROVED", granted, 0);
    yes.decision = MFA_DECISION_APPROVED;
    yes.struct_size = 0;
    check_int("mfa_is_approved: size 0", mfa_is_approved(MFA_OK, &yes), 0);
    yes.struct_size = FIRST_SIZE_TRANSACTION - 1;
    check_int("mfa_is_approved: size too small by one", mfa_is_approved(MFA_OK, &yes), 0);
    yes.struct_size = 4097;
    check_int("mfa_is_approved: size 4097", mfa_is_approved(MFA_OK, &yes), 0);
    yes.struct_size = UINT32_MAX;
    check_int("mfa_is_approved: the highest size", mfa_is_approved(MFA_OK, &yes), 0);
    yes.struct_size = 4096;
    check_int("mfa_is_approved: a newer caller's", mfa_is_approved(MFA_OK, &yes), 1);
}

int main(void)
{
    control_codes();
    approvals();
    return check_finish();
}
