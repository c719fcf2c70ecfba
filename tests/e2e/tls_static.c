/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An HTTPS server with OpenSSL linked in: tls_static PORT CERTIFICATE KEY. Also built with
 * BoringSSL as tls_boringssl. One connection at a time; each request, which has no body and comes
 * in one piece, is answered "yes".
 */
#include <arpa/inet.h>
#include <err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static void serve(SSL *ssl)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";
    char request[4096];

    if (SSL_accept(ssl) != 1)
        return;
    while (SSL_read(ssl, request, sizeof(request)) > 0)
        if (SSL_write(ssl, answer, sizeof(answer) - 1) <= 0)
            return;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1;

    if (argc != 4)
        errx(2, "usage: tls_static PORT CERTIFICATE KEY");
    address.sin_port = htons((uint16_t)strtoul(argv[1], NULL, 10));
    (void)signal(SIGPIPE, SIG_IGN);
    if (SSL_CTX_use_certificate_chain_file(context, argv[2]) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, argv[3], SSL_FILETYPE_PEM) != 1)
        errx(1, "cannot use %s and %s", argv[2], argv[3]);
    if (setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
        bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 16))
        err(1, "cannot listen on port %s", argv[1]);
    for (;;) {
        int connection = accept(listener, NULL, NULL);
        SSL *ssl = SSL_new(context);

        (void)SSL_set_fd(ssl, connection);
        serve(ssl);
        SSL_free(ssl);
        (void)close(connection);
    }
}
