/* busy FILE OUTPUT: spins as often as FILE says, and writes that to OUTPUT: a compiler whose work is known.
 *
 * busy FILE OUTPUT append   adds it to OUTPUT's end
 * busy FILE OUTPUT remove   removes FILE afterwards
 * busy FILE OUTPUT input    reads its standard input to the end before
 * busy FILE OUTPUT connect  asks a server on this machine before
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int main(int argc, char **argv) {
  char part[4096];
  const char *how = argc > 3 ? argv[3] : "";
  FILE *input = argc > 2 ? fopen(argv[1], "r") : NULL;
  double thousands = 0;
  if (input == NULL || fscanf(input, "%lf", &thousands) != 1)
    return 1;
  fclose(input);
  if (strcmp(how, "input") == 0)
    while (read(0, part, sizeof part) > 0)
      continue;
  if (strcmp(how, "connect") == 0) {
    struct sockaddr_in server = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int descriptor = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(descriptor, (struct sockaddr *)&server, sizeof server) != 0)
      close(descriptor);
  }
  volatile unsigned state = 1;
  for (long i = 0; i < (long)(thousands * 1000); i++)
    state = state * 48271u + (unsigned)i;
  FILE *output = fopen(argv[2], strcmp(how, "append") == 0 ? "a" : "w");
  if (output == NULL)
    return 2;
  fprintf(output, "%.0f\n", thousands);
  fclose(output);
  if (strcmp(how, "remove") == 0)
    unlink(argv[1]);
  return 0;
}
