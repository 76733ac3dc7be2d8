/* cpu.c -- instruction-set level and name of this CPU; see cpu.h. */
#include "base/cpu.h"

#include <cpuid.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[FOV_NISA] = { "base", "v3", "v4" };

static fov_Isa highest;
static _Atomic fov_Isa level;
static char model[128] = "unknown";

/* __builtin_cpu_supports also asks whether the system saves the registers. */
static fov_Isa measure (void) {
  unsigned a, b, c, d;
  __builtin_cpu_init();
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_MOVBE) || !(c & bit_F16C) ||
      !__get_cpuid(0x80000001, &a, &b, &c, &d) || !(c & bit_LZCNT) ||
      !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma") ||
      !__builtin_cpu_supports("bmi") || !__builtin_cpu_supports("bmi2"))
    return FOV_ISA_BASE;
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512cd") || !__builtin_cpu_supports("avx512dq") ||
      !__builtin_cpu_supports("avx512vl"))
    return FOV_ISA_V3;
  return FOV_ISA_V4;
}

static void readmodel (void) {
  FILE *f = fopen("/proc/cpuinfo", "r");
  if (!f) return;
  char line[256];
  while (fgets(line, sizeof line, f)) {
    char *colon = strchr(line, ':');
    if (strncmp(line, "model name", 10) != 0 || !colon) continue;
    line[strcspn(line, "\n")] = '\0';
    snprintf(model, sizeof model, "%.127s", colon + 1 + strspn(colon + 1, " "));
    break;
  }
  fclose(f);
}

static void start (void) {
  highest = measure();
  fov_Isa use = highest;
  const char *env = getenv("FOVEA_ISA");
  for (int i = 0; env && i < (int)highest; i++)
    if (strcmp(env, names[i]) == 0) use = (fov_Isa)i;
  level = use;
  readmodel();
}

static pthread_once_t once = PTHREAD_ONCE_INIT;

fov_Isa fov_isa (void) {
  pthread_once(&once, start);
  return atomic_load_explicit(&level, memory_order_relaxed);
}

fov_Isa fov_isa_max (void) {
  pthread_once(&once, start);
  return highest;
}

void fov_set_isa (fov_Isa isa) {
  if (isa <= fov_isa_max()) level = isa;
}

const char *fov_isa_name (fov_Isa isa) { return names[isa]; }

const char *fov_cpu_name (void) {
  pthread_once(&once, start);
  return model;
}

int fov_cpus (void) {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  long n = sysconf(_SC_NPROCESSORS_ONLN);
  return n > 0 ? (int)n : 1;
}
