# Two stages: build with deploy/install.sh's build packages, run with nothing but what runs. Runs as nobody; the root may be read-only.
ARG DEBIAN=debian:trixie-slim

FROM ${DEBIAN} AS build
COPY . /src
WORKDIR /src
RUN deploy/install.sh build \
 && cmake --preset release -DJOBHOOK_TESTS=OFF \
 && cmake --build .build/release \
 && strip .build/release/jobhook

FROM ${DEBIAN}
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="jobhook" \
      org.opencontainers.image.description="Tells customers over HTTP that their job is finished" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="MIT"
COPY deploy/install.sh /tmp/install.sh
RUN /tmp/install.sh run && rm -rf /tmp/install.sh /var/lib/apt/lists/* /var/cache/apt/* /var/log/apt /var/log/dpkg.log
COPY --from=build /src/.build/release/jobhook /usr/local/bin/jobhook
USER 65534:65534
EXPOSE 8080 8081
ENTRYPOINT ["/usr/local/bin/jobhook"]
CMD ["run"]
