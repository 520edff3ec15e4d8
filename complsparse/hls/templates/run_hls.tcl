# SPDX-License-Identifier: BSD-3-Clause
# Not run here: written for Vitis HLS after its manual, never tried with it.
#   vitis_hls -f vitis/run_hls.tcl      in this folder
open_project -reset build_vitis
set_top @TOP@
add_files top.cpp -cflags "-std=c++14 -I. -Iinclude -DCOMPLSPARSE_AP_INT"
add_files -tb testbench.cpp -cflags "-std=c++14 -I. -Iinclude -DCOMPLSPARSE_AP_INT"
add_files -tb golden
open_solution -reset solution -flow_target vivado
set_part {@PART@}
create_clock -period @CLOCK@ -name default
csim_design -argv golden
csynth_design
cosim_design -argv golden
exit
