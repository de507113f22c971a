/* Built static and for 32 bits too. */
int main(void) { return 0; }
