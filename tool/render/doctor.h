// SPDX-License-Identifier: Apache-2.0
// Renderers of the doctor's report, for people and for programs. Tool world; pure, output to a
// buffer.
#ifndef EBB_RENDER_DOCTOR_H
#define EBB_RENDER_DOCTOR_H

#include "doctor/doctor.h"
#include "render/render.h"

// Appends the whole report. 0 or -ENOMEM.
int render_doctor_text(const struct doctor_report *report, const struct render_style *style,
                       struct buffer *buffer);

// Appends one JSON object and a newline, as docs/json.md describes. 0, -ENOMEM; -ENOTSUP in a build
// without JSON.
int render_doctor_json(const struct doctor_report *report, struct buffer *buffer);

#endif
