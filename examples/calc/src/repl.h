/* Reading lines from a person. */
#ifndef CALC_REPL_H
#define CALC_REPL_H

#include "session.h"

bool repl_run(struct session *session, FILE *input);

#endif
