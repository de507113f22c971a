# The build of tests/real/Makefile, and at its end the compiler runs of AGAIN, an environment variable (an argument
# would be in make's own key): what bench/real_decision.py changes. The files are some that the build leaves out.
include $(REAL)

define newline


endef

all: again
again: $(VERSIONS:%=$(OBJECTS)/%/lua)
	$(foreach each,$(AGAIN),$(CC) $(CFLAGS) -c -o $(OBJECTS)/$(each:.c=.o) $(LUA)/$(firstword $(VERSIONS))/src/$(each)$(newline)	)

.PHONY: again
