# SPDX-License-Identifier: BSD-3-Clause
# What holds for the whole process: ISA level, threads, determinism; what the library is built of.

# What C++ reads once of the machine, it reads now: a fork during the first reading would leave it unfinished for ever.
c.c_cache_sizes()
c.selected_isa()
c.effective_threads()

cdef bint _deterministic = False


def isa_levels():
    found = []
    cdef size_t i
    for i in range(c.c_isa_levels().size()):
        found.append(dict(name=c.c_isa_levels()[i].name.decode(), supported=bool(c.c_isa_levels()[i].supported),
                          selected=<int> i == c.selected_isa()))
    return found


def microkernels():
    found = []
    cdef vector[c.MicroKernelInfo] infos = c.microkernels()
    cdef size_t i
    for i in range(infos.size()):
        found.append(dict(name=infos[i].name.decode(), op=infos[i].op.decode(), type=infos[i].types.decode(),
                          isa=infos[i].isa.decode(), layout=infos[i].layout.decode(),
                          tile=(infos[i].tile_rows, infos[i].tile_cols), runnable=bool(infos[i].runnable)))
    return found


def set_isa(name):
    """Caps the ISA level. Matrices that already hold layouts keep what they chose."""
    if not c.select_isa(str(name).encode()):
        valid = [level["name"] for level in isa_levels() if level["supported"]]
        raise ValueError(f"ISA level {name!r} is not available here; valid levels: {', '.join(valid)}")


def set_num_threads(int n):
    c.set_threads(n)


def get_num_threads():
    return c.effective_threads()


def thread_report():
    cdef ThreadReport report = c.c_thread_report()
    return dict(backend=report.backend.decode(), own=report.own, runtime=report.runtime, quota=report.quota,
                confinement=report.confinement, forked=bool(report.forked), effective=report.effective)


def build_info():
    return dict(compiler=c.build_compiler().decode(), flags=c.build_flags().decode(),
                isa_levels_left_out=c.isa_levels_left_out().decode().split())


def cache_sizes():
    sizes = c.c_cache_sizes()
    return dict(l1d=sizes.l1d, l2=sizes.l2, l3=sizes.l3)


def cost_constants():
    """The constants of the cost model, by name: cycles and bytes (`CostConstants` in src/layouts/costs.hpp)."""
    cdef size_t i
    return {c.cost_fields()[i].name.decode(): c.cost_value(c.cost_fields()[i]) for i in range(c.cost_fields().size())}


def set_cost_constants(dict values):
    """For whoever fits them. Matrices that already hold choices keep what they chose."""
    known = cost_constants().keys()
    if not known >= values.keys():
        raise ValueError(f"no cost constants: {', '.join(sorted(values.keys() - known))}")
    cdef size_t i
    for i in range(c.cost_fields().size()):
        name = c.cost_fields()[i].name.decode()
        if name in values:
            c.set_cost_value(c.cost_fields()[i], values[name])


def set_deterministic(bint on):
    global _deterministic
    _deterministic = on


def get_deterministic():
    return bool(_deterministic)
