/* cpu.h -- what this CPU can run, decided once. */
#ifndef FOV_CPU_H
#define FOV_CPU_H

/* Instruction-set levels of the kernel builds, lowest first. */
typedef enum fov_Isa { FOV_ISA_BASE, FOV_ISA_V3, FOV_ISA_V4, FOV_NISA } fov_Isa;

/* The level in use: the highest this CPU has, or the lower one FOVEA_ISA
 * (base, v3, v4) asks for. */
fov_Isa fov_isa (void);

/* The highest level this CPU has. */
fov_Isa fov_isa_max (void);

/* For tests: use 'isa' from now on; ignored above fov_isa_max(). */
void fov_set_isa (fov_Isa isa);

const char *fov_isa_name (fov_Isa isa);
const char *fov_cpu_name (void);   /* the model's name as the system tells it */

/* Logical CPUs this process may run on. */
int fov_cpus (void);

#endif
