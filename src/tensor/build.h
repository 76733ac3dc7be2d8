/* build.h -- one kernel source, built once per dtype and instruction set.
 *
 * The Makefile compiles each file of src/ops and src/tensor/kernels for
 * {f32, f64} x {base, v3, v4} with FOV_REAL (32 or 64) and FOV_LEVEL (0, 1,
 * 2 = fov_Isa) defined.  Such a file exports const tables only, named through
 * FOV_BUILD(name), which appends e.g. _f32_v4.  Others declare them with
 * FOV_BUILDS(type, name) and read FOV_PICK(name, dtype) at run time. */
#ifndef FOV_BUILD_H
#define FOV_BUILD_H

#include "base/cpu.h"
#include "tensor/tensor.h"

#define FOV_BUILDS(T, name) \
  extern const T name##_f32_base, name##_f32_v3, name##_f32_v4, \
                 name##_f64_base, name##_f64_v3, name##_f64_v4

/* For arrays of builds: [fov_Type real][fov_Isa]. */
#define FOV_BUILD_LIST(name) \
  { { &name##_f32_base, &name##_f32_v3, &name##_f32_v4 }, \
    { &name##_f64_base, &name##_f64_v3, &name##_f64_v4 } }

#ifdef FOV_REAL
#define FOV_PASTE2(name, t, isa) name##_##t##_##isa
#define FOV_PASTE(name, t, isa) FOV_PASTE2(name, t, isa)
#if FOV_REAL == 32
#define FOV_TNAME f32
#else
#define FOV_TNAME f64
#endif
#if FOV_LEVEL == 2
#define FOV_INAME v4
#elif FOV_LEVEL == 1
#define FOV_INAME v3
#else
#define FOV_INAME base
#endif
#define FOV_BUILD(name) FOV_PASTE(name, FOV_TNAME, FOV_INAME)
#endif

#endif
