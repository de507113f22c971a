/* The compiled BPF program as bytes of the recorder; ebpf_program.c refers to them. */
__asm__(".section .rodata,\"a\",%progbits\n"
        ".balign 16\n"
        ".globl ptreetime_bpf_object, ptreetime_bpf_object_end\n"
        "ptreetime_bpf_object:\n"
        ".incbin \"" PTREETIME_BPF_OBJECT "\"\n"
        "ptreetime_bpf_object_end:\n"
        ".byte 0\n"
        ".previous\n");
