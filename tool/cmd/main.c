// SPDX-License-Identifier: Apache-2.0
// The ebb command's entry point. World: tool; no state.
#include <stdio.h>

int main(void)
{
    puts("ebb " EBB_VERSION);
    return 0;
}
