// SPDX-License-Identifier: Apache-2.0
// The parts of the doctor's judgement, one per section. Tool world; pure; internal to tool/doctor.
#ifndef EBB_DOCTOR_JUDGE_H
#define EBB_DOCTOR_JUDGE_H

#include "doctor/doctor.h"

// Adds an item with an empty detail. Never NULL: beyond DOCTOR_ITEMS_MAX the last one is written
// over, which a test rules out.
struct doctor_item *doctor_add(struct doctor_report *report, enum doctor_section section,
                               enum doctor_status status, const char *id, const char *title);
void doctor_say(struct doctor_item *item, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void doctor_advise(struct doctor_item *item, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

void doctor_judge_verbs(struct doctor_report *report);
void doctor_judge_levers(struct doctor_report *report); // part of the verbs
void doctor_judge_kernel(struct doctor_report *report);
void doctor_judge_memory(struct doctor_report *report);
void doctor_judge_group(struct doctor_report *report);
void doctor_judge_rights(struct doctor_report *report);
void doctor_judge_traps(struct doctor_report *report);

// Questions that several parts ask.
bool doctor_kernel_has(const struct doctor_readings *readings, unsigned major, unsigned minor);
bool doctor_has_swap(const struct doctor_readings *readings);
// A capability that counts here: those of a user namespace of its own do not reach other processes.
bool doctor_can(const struct doctor_readings *readings, enum doctor_capability capability);
bool doctor_frees_lazily(const struct doctor_readings *readings);

#endif
