/**
 * A program that sends PCIs over IPv4 with forged source addresses, which Node's sockets cannot do: 2^20 addresses of
 * 4,096 networks in 10.100.0.0/12. Arguments: destination, port, datagrams per second, seconds.
 */
export const FLOOD_SOURCE = `
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec / 1e9;
}

int main(int count, char **words) {
  if (count != 5) return 2;
  int out = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (out < 0) return perror("socket"), 1;
  struct sockaddr_in to = {.sin_family = AF_INET};
  inet_aton(words[1], &to.sin_addr);
  double rate = atof(words[3]), seconds = atof(words[4]);
  unsigned char packet[44] = {0};
  struct iphdr *ip = (void *)packet;
  struct udphdr *udp = (void *)(packet + 20);
  ip->version = 4, ip->ihl = 5, ip->tot_len = htons(44), ip->ttl = 64, ip->protocol = 17, ip->daddr = to.sin_addr.s_addr;
  udp->dest = htons(atoi(words[2])), udp->len = htons(24);
  packet[31] = 16, packet[35] = 1;
  double began = now();
  unsigned long sent = 0;
  unsigned random = 1;
  while (now() - began < seconds) {
    unsigned long due = (now() - began) * rate;
    while (sent < due) {
      random = random * 1103515245u + 12345u;
      ip->saddr = htonl(0x0a640000u + ((random >> 8) & 0xfffff));
      udp->source = htons(1024 + (random >> 20) % 60000);
      sendto(out, packet, sizeof packet, 0, (void *)&to, sizeof to);
      if ((++sent & 63) == 0 && now() - began >= seconds) break;
    }
    usleep(200);
  }
  printf("%lu %f", sent, now() - began);
  return 0;
}
`;
